"""Variables: cells that hold immutable arrays."""

import jax
import numpy as np

from babel_dl.backend.contract import Native, State
from babel_dl.backend.dtypes import is_floating
from babel_dl_jax.creation import place, place_in_force
from babel_dl_jax.dtypes import dtype_word, native_dtype
from babel_dl_jax.tracing import Cell, read, write


class JaxState(State):
    """A storage is a `Cell`; `read` gives its array, `assign` replaces it."""

    def variable(self, value: np.ndarray, dtype: str, trainable: bool, name: str) -> Cell:
        """A cell; only floats can be trained."""
        native = native_dtype(dtype)
        with jax.ensure_compile_time_eval():
            array = place(np.array(value, native), place_in_force(self))
        return Cell(array, native, trainable and is_floating(dtype), name)

    def read(self, storage: Cell) -> Native:
        """The array of the cell; a tracer while a function is traced."""
        return read(storage)

    def assign(self, storage: Cell, value: Native) -> None:
        """The cell holds the value from now on. The host may assign a numpy or Python number: it stays on the host until it is used.

        Raises:
            ShapeError: The shape is not the variable's.
            DTypeError: The element type is not the variable's.
            BackendError: A transformation that babel_dl did not start would lose the value.
        """
        write(storage, value)

    def fill(self, storage: Cell, number: float) -> None:
        """The number stays on the host until it is used."""
        write(storage, np.full(storage.shape, number, storage.dtype) if storage.shape else storage.dtype.type(number))

    def set_trainable(self, storage: Cell, trainable: bool) -> None:
        """Noted on the cell; integers have no gradients."""
        storage.trainable = trainable and is_floating(dtype_word(storage.dtype))
