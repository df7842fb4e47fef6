# demo: a fresh machine to a trained network.    test: a fresh machine to all tests passed.
# Both make .venv with $(PYTHON), 3.10 or newer; the pinned versions are those of Python 3.11. `make clean` removes it.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test lint bench clean

demo: .venv/demo
	$(BIN)/python examples/fashion_mnist/main.py --backend torch --data mini

test: .venv/all
	PATH="$(CURDIR)/$(BIN):$$PATH" tests/run.sh

lint: .venv/all
	PATH="$(CURDIR)/$(BIN):$$PATH" tests/run.sh lint

bench: .venv/all
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build dist *.egg-info backends/*.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache .logs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch first and by itself: pip then takes the CPU build where it is offered one, as a wheel folder or an extra index.
.venv/torch: constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) install torch -c constraints.txt
	touch $@

.venv/demo: .venv/torch pyproject.toml
	$(PIP) install -e ".[torch]" -c constraints.txt
	touch $@

# tensorflow-cpu by its name and not the extra `tensorflow`: it is the same TensorFlow without the GPU's libraries.
.venv/all: .venv/torch pyproject.toml
	$(PIP) install -e ".[torch,jax,tensorboard,dev]" tensorflow-cpu -c constraints.txt
	touch $@ .venv/demo
