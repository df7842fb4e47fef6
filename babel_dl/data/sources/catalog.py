"""The sources that babel_dl knows: their files, the digests of what is in them, and where they are published."""

from dataclasses import dataclass, field

from babel_dl.data.splits import SPLIT_DEV, SPLIT_TEST, SPLIT_TRAIN
from babel_dl.errors import ArgumentError, did_you_mean


@dataclass(frozen=True)
class SourceFile:
    """One published file.

    Args:
        name: Its name, with the suffix of its compression.
        sha256: Of its decompressed bytes; the compressed ones differ from mirror to mirror.
    """

    name: str
    sha256: str


@dataclass(frozen=True)
class Source:
    """A data set of pictures and classes.

    Args:
        name: What users write.
        files: Pictures and classes of each split. What the publishers call "test" is both `dev` and `test` here.
        urls: Folders on the network, the first one tried first.
        system_folders: Where packages of operating systems put the files.
        package: The command that installs such a package, or an empty text.
        mini: The files of the embedded subset, as `files`; made by `make_mini`. Empty if there is none.
    """

    name: str
    files: dict[str, tuple[SourceFile, SourceFile]]
    urls: tuple[str, ...]
    system_folders: tuple[str, ...] = ()
    package: str = ""
    mini: dict[str, tuple[SourceFile, SourceFile]] = field(default_factory=dict)


def _files(
    train_images: str, train_labels: str, test_images: str, test_labels: str, suffix: str = "gz"
) -> dict[str, tuple[SourceFile, SourceFile]]:
    train = SourceFile(f"train-images-idx3-ubyte.{suffix}", train_images), SourceFile(f"train-labels-idx1-ubyte.{suffix}", train_labels)
    test = SourceFile(f"t10k-images-idx3-ubyte.{suffix}", test_images), SourceFile(f"t10k-labels-idx1-ubyte.{suffix}", test_labels)
    return {SPLIT_TRAIN: train, SPLIT_DEV: test, SPLIT_TEST: test}


SOURCES = {
    source.name: source
    for source in (
        Source(
            name="fashion_mnist",
            files=_files(
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
            urls=(
                "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            ),
            system_folders=("/usr/share/datasets/fashion-mnist",),
            package="apt-get install dataset-fashion-mnist",
            mini=_files(
                "9d6ccf33222683408d91b1df696ba9336cbdd1c6e71a46e9285cf816f79f0bf2",
                "1c84501b8ee49fdd06d5a81366ddd4dd956bec1bcd0de7aad9c0203f18c0fd36",
                "e49a2ff15670b4827c1d0233f234bb9cd5371dd77650aadb49c6e42ed5179ef8",
                "3121e2bab9d09e4d2908ca3fbe3df85fb9fd4639f58db406f41fbe4ea8ecafa1",
                suffix="xz",
            ),
        ),
        Source(
            name="mnist",
            files=_files(
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
            urls=("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        ),
    )
}


def find_source(name: str) -> Source:
    """The source of this name.

    Raises:
        ArgumentError: There is none; the nearest name is offered.
    """
    if name not in SOURCES:
        raise ArgumentError(f"There is no data source {name!r}.{did_you_mean(str(name), SOURCES)}")
    return SOURCES[name]


def files_of(source: Source, split: str) -> tuple[SourceFile, SourceFile]:
    """Pictures and classes of a split.

    Raises:
        ArgumentError: There is no such split; the nearest name is offered.
    """
    if split not in source.files:
        raise ArgumentError(f"{source.name} has no split {split!r}.{did_you_mean(str(split), source.files)}")
    return source.files[split]


def owner_of(sha256: str) -> str | None:
    """The name of the source one of whose files has this digest."""
    owners = (source.name for source in SOURCES.values() for pair in source.files.values() for file in pair if file.sha256 == sha256)
    return next(owners, None)
