"""Answers of a trained network, without gradients: one image, and many in batches."""
