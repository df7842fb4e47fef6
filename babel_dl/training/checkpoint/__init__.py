"""Checkpoint files: one safetensors file each, verified by digests, replaced in one step."""

from babel_dl.training.checkpoint.file import Checkpoint, read_checkpoint, write_checkpoint
from babel_dl.training.checkpoint.store import CheckpointStore

__all__ = ["Checkpoint", "CheckpointStore", "read_checkpoint", "write_checkpoint"]
