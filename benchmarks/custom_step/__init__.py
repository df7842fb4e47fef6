"""A training step of one's own, a GAN's, beside the same step written by hand: `python -m benchmarks.custom_step`."""
