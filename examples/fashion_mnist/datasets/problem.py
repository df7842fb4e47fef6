"""What goes in and what comes out: image -> class id."""

from typing import Any, NamedTuple

CLASS_NAMES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


class NetworkInput(NamedTuple):
    """What the network sees: `image`, (28, 28, 1) and uint8 in a sample, with a batch axis in a batch."""

    image: Any


class NetworkOutput(NamedTuple):
    """What it answers: `class_id`, the class in the data, logits (10,) in a prediction."""

    class_id: Any
