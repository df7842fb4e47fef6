"""The GAN's step: the losses of the paper, each optimizer on its own network, the same numbers on every backend."""

import numpy as np
import pytest

import babel_dl
from babel_dl import SPLIT_DEV, SPLIT_TRAIN
from babel_dl.training.optimizers import SGD, Adam
from examples.mnist.classification import logits_of
from examples.mnist.curves import Curves
from examples.mnist.data import load_split, to_unit
from examples.mnist.judge import SURE, give_verdict, look
from examples.mnist.simple_conv import SimpleConvClassifier
from examples.mnist.simple_gan import SimpleGAN
from examples.shared.pictures import softmax

NUM_STEPS = 6


def make_gan(generator_rate=1e-3, discriminator_rate=1e-3, callbacks=(), **options):
    optimizers = {"generator": SGD(generator_rate, momentum=0.0), "discriminator": SGD(discriminator_rate, momentum=0.0)}
    return SimpleGAN(1, 28, 128, optimizers=optimizers, callbacks=callbacks, **options)


def make_loader(split=SPLIT_TRAIN, batch_size=16):
    return load_split("mini", split).filter(lambda token: token < NUM_STEPS * 16).to_dataloader(batch_size, drop_last=True)


def weights_of(module):
    return {path: variable.numpy() for path, variable in module.named_variables.items() if variable.trainable}


def changed(before, after):
    return [path for path, value in before.items() if not np.array_equal(value, after[path])]


def first_losses(backend_name):
    curves = Curves()
    with babel_dl.use_backend(backend_name), babel_dl.use_seed(3):
        optimizers = {name: Adam(1e-3, beta1=0.5, eps=1e-6) for name in ("generator", "discriminator")}
        SimpleGAN(1, 28, 128, optimizers=optimizers, callbacks=[curves], log_every=1).fit(make_loader())
    return np.array([curves.values[name] for name in ("loss/g", "loss/d")])


def test_all_backends_compute_the_same_losses():
    judge = first_losses("torch")
    assert judge.shape == (2, NUM_STEPS)
    for other in ("tensorflow", "jax"):
        assert np.abs(first_losses(other) / judge - 1).max() < 1e-5


def test_each_optimizer_moves_its_own_network_and_no_other(backend):
    for rates, moves in (((1e-2, 0.0), "generator"), ((0.0, 1e-2), "discriminator")):
        gan = make_gan(*rates)
        gan.prepare(next(iter(make_loader().batches(0))))
        before = {name: weights_of(getattr(gan, name)) for name in ("generator", "discriminator")}
        gan.fit(make_loader(), steps=1)
        for name, known in before.items():
            found = changed(known, weights_of(getattr(gan, name)))
            assert found == (list(known) if name == moves else []), (name, moves)


def test_the_losses_are_those_of_the_paper(backend):
    loader, curves = make_loader(), Curves()
    batch = next(iter(loader.batches(0)))
    gan, twin = make_gan(callbacks=[curves], log_every=1), make_gan()
    twin.prepare(batch)  # the same weights and noise: they depend on seed and path alone
    fake = twin.paint(16)
    logits = {name: twin.discriminator(images).numpy().astype(np.float64) for name, images in (("real", unit(batch)), ("fake", fake))}
    probability = {name: 1 / (1 + np.exp(-value)) for name, value in logits.items()}
    gan.fit(loader, steps=1)
    found = {name: values[0] for name, values in curves.values.items()}
    assert found["loss/g"] == pytest.approx(np.mean(-np.log(probability["fake"])), rel=1e-5)
    assert found["loss/d_real"] == pytest.approx(np.mean(-np.log(probability["real"])), rel=1e-5)
    assert found["loss/d_fake"] == pytest.approx(np.mean(-np.log(1 - probability["fake"])), rel=1e-5)
    assert found["loss/d"] == pytest.approx((found["loss/d_real"] + found["loss/d_fake"]) / 2, rel=1e-6)


def unit(batch):
    return to_unit(babel_dl.ops.asarray(batch[0].image))


def make_sure_of_half(judge, images):
    """Scales the judge's logits until it gives half of the images a probability above that at which it is sure."""
    logits, (low, high) = logits_of(judge, images), (1.0, 1e6)
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if np.median(softmax(middle * logits).max(axis=1)) > SURE else (middle, high)
    judge.net[-1].weight.assign(judge.net[-1].weight.numpy() * high)


def test_evaluation_reports_of_how_many_images_the_judge_is_sure(backend):
    judge = SimpleConvClassifier(1, 10).initialize(load_split("mini", SPLIT_DEV))
    gan, twin = make_gan(judge=judge), make_gan()
    assert gan.evaluate(make_loader())["metrics/sure"] == 0.0  # an untrained judge is sure of nothing
    twin.prepare(next(iter(make_loader().batches(0))))
    twin.generator.eval()
    painted = 255.0 * np.concatenate([twin.paint(16).numpy() for _ in range(NUM_STEPS)])
    make_sure_of_half(judge, painted)
    verdict = give_verdict(look(judge, painted))
    assert 0.1 < verdict.sure < 0.9
    assert gan.evaluate(make_loader())["metrics/sure"] == pytest.approx(verdict.sure, abs=0.03)


def test_the_same_noise_is_painted_in_every_evaluation(backend):
    gan = make_gan()
    assert gan.evaluate(make_loader()) == gan.evaluate(make_loader())


def test_a_verdict_counts_what_was_seen_and_what_was_sure():
    probabilities = np.array([[0.95, 0.05, 0.0], [0.5, 0.3, 0.2], [0.05, 0.0, 0.95], [0.05, 0.0, 0.95]])
    verdict = give_verdict(probabilities)
    assert (verdict.sure, verdict.counts, verdict.counts_sure) == (0.75, [2, 0, 2], [1, 0, 2])
