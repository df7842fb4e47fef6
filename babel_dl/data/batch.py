"""Values as arrays, and samples as batches."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from babel_dl.data.transformer import Sample
from babel_dl.errors import DataError

Batch = tuple[Any, Any]
"""The inputs and the outputs of several samples, each a named tuple of arrays with a leading batch axis."""


def as_array(value: Any) -> np.ndarray:
    """A value of a field as an array, in C order and the machine's byte order.

    Python's own numbers become float32 and int32, the types of tensors by default, and not the 64 bits that numpy gives them.

    Args:
        value: An array of any library, a number, or nested lists of numbers.

    Returns:
        The same memory where it fits already.

    Raises:
        ValueError: numpy cannot make an array of numbers or texts from it, or a whole number of Python needs more than 32 bits.
    """
    array = np.asarray(value)
    if array.dtype == object:
        raise ValueError(f"a {type(value).__name__} is not a number, a text, or an array of them")
    if not hasattr(value, "dtype") and not _has_dtypes(value):
        array = _narrow(array)
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def _has_dtypes(value: Any) -> bool:
    """Whether a list holds numbers that have a type of their own, at any depth."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return hasattr(value, "dtype")


def _narrow(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype != np.int64:
        return array
    narrow = array.astype(np.int32)
    if not np.array_equal(narrow, array):
        raise ValueError("a whole number beyond 32 bits; return numpy.int64(...) if it has to be that large")
    return narrow


def as_arrays(sample: Sample, token: object) -> Sample:
    """A sample with every field as an array.

    Args:
        sample: Input and output.
        token: The sample's token, for the message.

    Raises:
        DataError: A field holds something that is no array; field and sample token are named.
    """
    return _part_as_arrays(sample[0], token), _part_as_arrays(sample[1], token)


def _part_as_arrays(part: Any, token: object) -> Any:
    arrays = []
    for name, value in zip(part._fields, part, strict=True):
        try:
            arrays.append(as_array(value))
        except (ValueError, TypeError) as error:
            raise DataError(
                f"The field {name!r} of {type(part).__name__} holds a {type(value).__name__} for the sample token {token!r}.\n"
                f"  {error}\n"
                f"  Return a numpy array or a number from get_{name}, or convert it in a transformer."
            ) from error
    return type(part)(*arrays)


def stack_samples(samples: Sequence[Sample], tokens: Sequence[Any]) -> Batch:
    """One batch from samples of arrays.

    Args:
        samples: At least one.
        tokens: Their tokens, for messages.

    Shapes:
        each field: the same shape in all samples.      returns: (samples, *shape) of each field.

    Returns:
        New arrays.

    Raises:
        DataError: A field has another shape or element type in another sample; field, shapes and sample tokens are named.
    """
    return _stack_parts([inp for inp, _ in samples], tokens), _stack_parts([outp for _, outp in samples], tokens)


def _stack_parts(parts: Sequence[Any], tokens: Sequence[Any]) -> Any:
    kind = type(parts[0])
    columns = []
    for name in kind._fields:
        arrays = [getattr(part, name) for part in parts]
        _check_alike(arrays, name, tokens)
        columns.append(np.stack(arrays))
    return kind(*columns)


def _check_alike(arrays: Sequence[np.ndarray], name: str, tokens: Sequence[Any]) -> None:
    shape, dtype = arrays[0].shape, arrays[0].dtype
    for array, token in zip(arrays, tokens, strict=True):
        if array.shape != shape:
            raise DataError(
                f"The field {name!r} has shape {shape} for the sample token {tokens[0]!r}, and {array.shape} for {token!r}.\n"
                f"  The samples of a batch must have one shape. Pad or crop them in a transformer, or use batch_size=1."
            )
        if array.dtype != dtype and dtype.kind not in "US":  # texts of different lengths have different types, and stack well
            raise DataError(
                f"The field {name!r} is {dtype} for the sample token {tokens[0]!r}, and {array.dtype} for {token!r}.\n"
                f"  The samples of a batch must have one element type. Append a transformer: AsType({dtype.name!r}, fields=({name!r},))"
            )
