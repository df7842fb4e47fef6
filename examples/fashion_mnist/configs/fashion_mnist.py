"""All choices of the experiment. The command line changes any of them: `--set train_batch_size=64`."""

from babel_dl.core import Config
from babel_dl.training.optimizers import learning_rates

NUM_SAMPLES = {"full": 60000, "mini": 6000}


class FashionMnistConfig(Config):
    """The configuration of the tutorial.

    Args:
        data: "full" for all 60,000 training images, "mini" for the 6,000 that come with babel_dl.
    """

    def __init__(self, data: str = "mini") -> None:
        super().__init__()
        self.problem_data = data
        self.problem_number_of_categories = 10
        self.problem_samples = NUM_SAMPLES[data]

        self.train_seed = 0
        self.train_epochs = 10
        self.train_batch_size = 32
        iterations_per_epoch = self.problem_samples / self.train_batch_size
        self.train_momentum = 0.95
        self.train_learning_rate_shedule = learning_rates.Exponential(initial_lr=0.001, k=0.1 / iterations_per_epoch)


class QuickConfig(FashionMnistConfig):
    """For a few minutes on a small machine: a higher learning rate, because 6,000 images make few steps."""

    def __init__(self, data: str = "mini") -> None:
        super().__init__(data)
        self.train_learning_rate_shedule = learning_rates.Exponential(initial_lr=0.003, k=0.1 / (self.problem_samples / 32))
