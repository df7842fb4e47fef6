"""babel_dl: one step of the MLP by `fit`, in a process that does nothing else."""

from __future__ import annotations

import sys

from benchmarks.starting.process import contestant

__all__ = ["contestant"]


def main(backend: str) -> None:
    """Trains a step."""
    import babel_dl
    from babel_dl.core import logging
    from babel_dl.data import ArrayDataset
    from babel_dl.training import SupervisedTrainer
    from babel_dl.training.optimizers import SGD
    from benchmarks.starting.process import example
    from benchmarks.training.ours import Classifier, CrossEntropy, Inputs, Outputs

    logging.set_console(lambda line: None)
    babel_dl.set_backend(backend, "cpu")
    images, labels = example()
    trainer = SupervisedTrainer(Classifier("mlp"), CrossEntropy(), SGD(0.001), callbacks=[])
    trainer.fit(ArrayDataset(Inputs(images), Outputs(labels)), steps=1)
    print("trained", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
