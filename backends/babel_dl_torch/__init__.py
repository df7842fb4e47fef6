"""PyTorch as a backend of babel_dl. This file is its card: importing it imports no PyTorch."""

from babel_dl.backend import Backend, Plugin


def _load() -> Backend:
    from babel_dl_torch.assembly import TorchBackend

    return TorchBackend()


backend = Plugin(
    name="torch", framework="PyTorch", module="torch", install="babel_dl[torch]", load=_load, module_classes=("torch.Module",)
)

__all__ = ["backend"]
