"""The names of the backends that users may write. The core compares none of them: a name leads to a plug-in, nothing else."""

PYTORCH_BACKEND = "torch"
TF_BACKEND = "tensorflow"
JAX_BACKEND = "jax"
AUTO_BACKEND = "auto"

ALIASES = {"pytorch": PYTORCH_BACKEND, "tf": TF_BACKEND, "tf2": TF_BACKEND}
"""Other spellings, as in the tutorials: alias to name."""

AUTO_ORDER = (PYTORCH_BACKEND, TF_BACKEND, JAX_BACKEND)
"""Which installed framework `auto` takes first; plug-ins of others follow by name."""

BACKEND_VARIABLE = "BABEL_DL_BACKEND"
DEVICE_VARIABLE = "BABEL_DL_DEVICE"


def canonical_name(name: str) -> str:
    """The plug-in's name for what a user wrote: lower case, aliases resolved."""
    lowered = name.strip().lower()
    return ALIASES.get(lowered, lowered)
