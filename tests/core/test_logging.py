"""Log lines: their look, where they go, and what Python's own logging sees of them."""

import logging as python_logging
import os
import re
import subprocess
import sys
import threading

import pytest

from babel_dl.core import logging
from babel_dl.errors import ArgumentError

TIME = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]"


@pytest.fixture(autouse=True)
def fresh_logging(monkeypatch):
    monkeypatch.setattr(logging, "DEBUG_VERBOSITY", False)
    yield
    logging.set_logger(None)
    logging.LOGGER.setLevel(python_logging.INFO)


@pytest.fixture
def figure():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot.figure(figsize=(1, 1))
    pyplot.close("all")


def read(path):
    return path.read_text(encoding="utf-8")


def run_python(code, cwd=None):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, env=environment, check=False)


@pytest.mark.parametrize(
    ("log", "level"),
    [(logging.info, "INFO"), (logging.status, "STAT"), (logging.warn, "WARN"), (logging.error, "ERROR")],
)
def test_a_line_has_the_look_of_the_seed(capsys, log, level):
    log("Training 1/10 - metrics/ca=0.697 - loss/total=1.499 - LR 0.000905")
    assert re.fullmatch(TIME + f" {level} Training 1/10 - metrics/ca=0.697 - loss/total=1.499 - LR 0.000905\n", capsys.readouterr().out)


def test_an_indented_message_keeps_its_indent(capsys):
    logging.info("  /linear/0/bn/weight: (1,)")
    assert capsys.readouterr().out.endswith("] INFO   /linear/0/bn/weight: (1,)\n")


def test_every_line_of_a_long_message_has_its_time_and_level(capsys):
    logging.status("first\n  second")
    assert re.fullmatch(f"{TIME} STAT first\n{TIME} STAT   second\n", capsys.readouterr().out)


def test_a_percent_sign_in_a_message_is_just_a_percent_sign(capsys):
    logging.info("100 % done, 5%s")
    assert capsys.readouterr().out.endswith("INFO 100 % done, 5%s\n")


def test_debug_lines_come_only_on_demand(capsys):
    logging.debug("hidden")
    logging.DEBUG_VERBOSITY = True
    logging.debug("shown")
    assert re.fullmatch(TIME + " DBUG shown\n", capsys.readouterr().out)


def test_debug_lines_can_also_be_asked_for_by_the_level_of_the_logger(capsys):
    python_logging.getLogger("babel_dl").setLevel(python_logging.DEBUG)
    logging.debug("shown")
    assert "DBUG shown" in capsys.readouterr().out


def test_the_level_of_the_logger_silences_lines(capsys):
    python_logging.getLogger("babel_dl").setLevel(python_logging.WARNING)
    logging.status("hidden")
    logging.warn("shown")
    assert re.fullmatch(TIME + " WARN shown\n", capsys.readouterr().out)


def test_without_a_logger_there_is_no_log_path():
    # babilim raised a TypeError here.
    assert logging.get_log_path() is None


def test_set_logger_makes_the_run_folder_and_writes_lines_at_once(tmp_path, capsys):
    log_file = tmp_path / ".logs" / "2020_FashionMNIST" / "log.txt"
    logging.set_logger(str(log_file))
    logging.info("Started fit.")
    assert read(log_file) == capsys.readouterr().out  # read while the file is still open
    assert logging.get_log_path() == str(log_file.parent)


def test_set_logger_copies_nothing_into_the_run_folder(tmp_path, monkeypatch):
    # babilim copied the whole working directory.
    (tmp_path / "main.py").write_text("")
    monkeypatch.chdir(tmp_path)
    logging.set_logger(os.path.join(".logs", "run", "log.txt"))
    assert os.listdir(tmp_path / ".logs" / "run") == ["log.txt"]


def test_the_run_folder_stays_when_the_working_directory_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logging.set_logger(os.path.join("run", "log.txt"))
    monkeypatch.chdir("/")
    logging.info("here")
    assert logging.get_log_path() == str(tmp_path / "run")
    assert "INFO here" in read(tmp_path / "run" / "log.txt")


def test_set_logger_again_switches_and_closes_the_file_before(tmp_path):
    logging.set_logger(tmp_path / "a" / "log.txt")
    logging.info("one")
    before = next(handler for handler in logging.LOGGER.handlers if isinstance(handler, logging.RunFileHandler))
    stream = before.stream
    logging.set_logger(tmp_path / "b" / "log.txt")
    logging.info("two")
    assert stream.closed
    assert read(tmp_path / "a" / "log.txt").endswith("INFO one\n")
    assert read(tmp_path / "b" / "log.txt").endswith("INFO two\n")
    assert read(tmp_path / "b" / "log.txt").count("\n") == 1


def test_set_logger_continues_a_file_that_exists(tmp_path):
    (tmp_path / "log.txt").write_text("from before\n")
    logging.set_logger(tmp_path / "log.txt")
    logging.info("more")
    assert re.fullmatch("from before\n" + TIME + " INFO more\n", read(tmp_path / "log.txt"))


def test_set_logger_refuses_a_place_that_cannot_be_written_and_keeps_the_file_before(tmp_path):
    logging.set_logger(tmp_path / "log.txt")
    with pytest.raises(ArgumentError, match=r"set_logger cannot write the log file .*log.txt/log.txt: .* Choose a folder that can"):
        logging.set_logger(tmp_path / "log.txt" / "log.txt")
    logging.info("still here")
    assert "still here" in read(tmp_path / "log.txt")


def test_a_full_disk_is_reported_once_and_stops_nothing(tmp_path, capsys):
    (tmp_path / "log.txt").symlink_to("/dev/full")
    logging.set_logger(tmp_path / "log.txt")
    logging.info("one")
    logging.info("two")
    logging.set_logger(None)
    captured = capsys.readouterr()
    assert captured.out.count("INFO") == 2
    assert re.fullmatch(r"The log file .*log.txt cannot be written: .*No space left.* the run goes on.\n", captured.err)


def test_lines_survive_a_process_that_dies_without_cleaning_up(tmp_path):
    code = (
        "import os\nfrom babel_dl.core import logging\nlogging.set_logger('run/log.txt')\nlogging.status('last words')\n"
        "os.kill(os.getpid(), 9)"
    )
    assert run_python(code, tmp_path).returncode == -9
    assert read(tmp_path / "run" / "log.txt").endswith("STAT last words\n")


def test_letters_of_any_language_reach_the_file(tmp_path):
    logging.set_logger(tmp_path / "log.txt")
    logging.info("Grüße, 训练")
    assert read(tmp_path / "log.txt").endswith("INFO Grüße, 训练\n")


def test_a_timestamp_can_name_a_folder_and_sorts_by_time():
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d\.\d\d\.\d\d", logging.get_timestamp())


def test_importing_prints_nothing_loads_no_pyplot_and_leaves_the_root_logger_alone():
    code = (
        "import logging as python_logging, sys\nlevels = dict(python_logging._levelToName)\nimport babel_dl.core.logging\n"
        "root = python_logging.getLogger()\n"
        "print(root.handlers, root.level, python_logging._levelToName == levels, 'matplotlib.pyplot' in sys.modules)"
    )
    result = run_python(code)
    assert (result.stdout, result.stderr) == ("[] 30 True False\n", "")


def test_a_user_of_basic_config_gets_no_line_twice():
    code = (
        "import logging as python_logging, sys\npython_logging.basicConfig(level=python_logging.DEBUG, stream=sys.stdout)\n"
        "from babel_dl.core import logging\nlogging.info('once')"
    )
    assert re.fullmatch(TIME + " INFO once\n", run_python(code).stdout)


def test_handlers_that_the_user_attached_before_the_import_are_respected():
    code = (
        "import logging as python_logging, sys\nlogger = python_logging.getLogger('babel_dl')\n"
        "handler = python_logging.StreamHandler(sys.stdout)\nhandler.setFormatter(python_logging.Formatter('%(levelname)s|%(message)s'))\n"
        "logger.addHandler(handler)\nlogger.setLevel('INFO')\nfrom babel_dl.core import logging\nlogging.status('mine')"
    )
    assert run_python(code).stdout == "STAT|mine\n"


def test_the_user_can_attach_a_handler_as_to_any_logger():
    records = []
    handler = python_logging.Handler()
    handler.emit = records.append
    logger = python_logging.getLogger("babel_dl")
    logger.addHandler(handler)
    try:
        logging.status("x=1")
        logging.warn("y")
    finally:
        logger.removeHandler(handler)
    assert [(record.levelno, record.levelname, record.getMessage()) for record in records] == [(25, "STAT", "x=1"), (30, "WARNING", "y")]


def test_lines_of_python_loggers_below_ours_look_the_same(capsys):
    python_logging.getLogger("babel_dl.data").warning("%d samples", 3)
    assert re.fullmatch(TIME + " WARN 3 samples\n", capsys.readouterr().out)


def test_an_exception_logged_the_python_way_shows_its_traceback(capsys):
    try:
        raise KeyError("lost")
    except KeyError:
        python_logging.getLogger("babel_dl").exception("failed")
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(TIME + " ERROR failed", lines[0])
    assert lines[-1].endswith("ERROR KeyError: 'lost'")


def test_set_console_redirects_the_console_but_not_the_file(tmp_path, capsys):
    logging.set_logger(tmp_path / "log.txt")
    lines = []
    before = logging.set_console(lines.append)
    try:
        logging.info("above the bar")
    finally:
        inner = logging.set_console(before)
    logging.info("after")
    assert inner == lines.append
    assert [re.sub(TIME, "T", line) for line in lines] == ["T INFO above the bar"]
    assert re.fullmatch(TIME + " INFO after\n", capsys.readouterr().out)
    assert read(tmp_path / "log.txt").count("\n") == 2


def test_set_console_with_none_prints_to_standard_output_again(capsys):
    logging.set_console([].append)
    logging.set_console(None)
    logging.info("back")
    assert "INFO back" in capsys.readouterr().out


def test_set_console_says_that_the_console_handler_is_gone():
    console = next(handler for handler in logging.LOGGER.handlers if isinstance(handler, logging.ConsoleHandler))
    logging.LOGGER.removeHandler(console)
    try:
        with pytest.raises(ArgumentError, match=r"set_console found no console handler .* Put one back"):
            logging.set_console(print)
    finally:
        logging.LOGGER.addHandler(console)


def test_a_console_that_fails_stops_no_training(tmp_path, capsys):
    def broken(line):
        raise OSError("terminal is gone")

    logging.set_logger(tmp_path / "log.txt")
    before = logging.set_console(broken)
    logging.info("kept")
    logging.set_console(before)
    assert "INFO kept" in read(tmp_path / "log.txt")
    assert "terminal is gone" in capsys.readouterr().err


def test_threads_do_not_mix_their_lines(tmp_path):
    logging.set_logger(tmp_path / "log.txt")
    threads = [threading.Thread(target=lambda: [logging.info("x" * 50) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = read(tmp_path / "log.txt").splitlines()
    assert len(lines) == 200
    assert all(re.fullmatch(TIME + " INFO x{50}", line) for line in lines)


def test_log_image_saves_the_current_figure_in_the_run_folder(tmp_path, figure):
    logging.set_logger(tmp_path / "log.txt")
    path = logging.log_image(name="training_data.png")
    assert path == str(tmp_path / "training_data.png")
    assert (tmp_path / "training_data.png").read_bytes().startswith(b"\x89PNG")


def test_log_image_takes_a_figure_a_folder_and_a_name_without_ending(tmp_path, figure):
    from matplotlib.figure import Figure

    logging.set_logger(tmp_path / "log.txt")
    assert logging.log_image("preds/dev", figure=Figure(figsize=(1, 1))) == str(tmp_path / "preds" / "dev.png")
    assert (tmp_path / "preds" / "dev.png").read_bytes().startswith(b"\x89PNG")


def test_log_image_without_a_run_folder_says_that_nothing_is_saved(capsys, figure):
    assert logging.log_image("dev.png") is None
    assert "WARN The picture dev.png is not saved: there is no run folder. Call logging.set_logger(...) first." in capsys.readouterr().out


def test_log_image_reports_a_place_that_cannot_be_written_and_goes_on(tmp_path, capsys, figure):
    logging.set_logger(tmp_path / "log.txt")
    assert logging.log_image("log.txt/dev.png") is None
    assert re.search("WARN The picture .*dev.png is not saved: .*log.txt", capsys.readouterr().out)


@pytest.mark.parametrize("name", ["../dev.png", "/tmp/dev.png", "a/../../dev.png", ""])
def test_log_image_refuses_a_name_outside_of_the_run_folder(tmp_path, figure, name):
    logging.set_logger(tmp_path / "run" / "log.txt")
    with pytest.raises(ArgumentError, match="log_image got the name .* It must name a file in the run folder"):
        logging.log_image(name)


def test_log_image_refuses_an_unknown_picture_format(tmp_path, figure):
    logging.set_logger(tmp_path / "log.txt")
    with pytest.raises(ArgumentError, match="log_image cannot save 'dev.xyz': Format 'xyz' is not supported"):
        logging.log_image("dev.xyz")


def test_log_image_without_a_figure_says_so(tmp_path):
    logging.set_logger(tmp_path / "log.txt")
    with pytest.raises(ArgumentError, match="log_image found no figure. Draw one with matplotlib.pyplot first"):
        logging.log_image("dev.png")
