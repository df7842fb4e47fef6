"""PyTorch: in evaluation mode without gradients; and compiled by inductor with frozen weights, which lays tensors out by itself."""

from __future__ import annotations

import numpy as np
import torch
from torch._inductor import config

from benchmarks.inference import task
from benchmarks.protocol import Contestant, Setup
from benchmarks.training.native_torch import loaded


def contestant(setup: Setup) -> Contestant:
    """The twin of a style."""
    net = loaded(task.MODEL).eval()
    if setup.style == "manual":

        @torch.no_grad()
        def predict(images: np.ndarray) -> np.ndarray:
            return net(torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous()).numpy()

        return task.asked_in_batches(predict)

    def forward(images: torch.Tensor) -> torch.Tensor:
        return net(images.permute(0, 3, 1, 2).float())

    config.freezing = True
    compiled = torch.compile(forward, fullgraph=True, dynamic=False)

    @torch.inference_mode()
    def predict_frozen(images: np.ndarray) -> np.ndarray:
        return compiled(torch.from_numpy(images)).numpy()

    return task.asked_in_batches(predict_frozen)
