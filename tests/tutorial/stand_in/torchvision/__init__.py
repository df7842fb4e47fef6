"""Stands in for torchvision, which has no build for these tests, in the one thing that the tutorial asks of it."""
