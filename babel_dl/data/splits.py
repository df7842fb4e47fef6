"""The names of the parts that a data set is divided into."""

SPLIT_TRAIN = "train"
SPLIT_DEV = "dev"
SPLIT_TEST = "test"

SPLITS = (SPLIT_TRAIN, SPLIT_DEV, SPLIT_TEST)
