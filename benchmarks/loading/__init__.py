"""Batches of uint8 images from memory, as float tensors."""
