"""Element types as words, and the type of a result, by the rules of the Python array API standard.

Python numbers are weak: they take the tensor's type where its kind allows. An integer beside a float takes the float's type.
"""

from babel_dl.errors import DTypeError, did_you_mean

BOOL = "bool"
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = SIGNED + UNSIGNED
FLOATS = ("float16", "bfloat16", "float32", "float64")
DTYPES = (BOOL, *INTEGERS, *FLOATS)

DEFAULT_FLOAT = "float32"
DEFAULT_INTEGER = "int32"

_BITS = {name: int("".join(c for c in name if c.isdigit())) for name in (*INTEGERS, *FLOATS)}


def is_floating(dtype: str) -> bool:
    """Whether the type has a fraction."""
    return dtype in FLOATS


def is_integer(dtype: str) -> bool:
    """Whether the type counts in whole numbers; bool does not."""
    return dtype in INTEGERS


def check_dtype(dtype: str) -> str:
    """The name itself.

    Raises:
        DTypeError: There is no such type; the nearest name is offered.
    """
    if not isinstance(dtype, str):
        raise DTypeError(f"An element type is a word, such as 'float32', and {dtype!r} came. Known: {', '.join(DTYPES)}.")
    if dtype not in DTYPES:
        raise DTypeError(f"There is no element type {dtype!r}.{did_you_mean(str(dtype), DTYPES)}")
    return dtype


def promote(first: str, second: str) -> str:
    """The type of a result of two tensors.

    Raises:
        DTypeError: The standard defines no common type (uint64 with a signed integer).
    """
    if first == second:
        return first
    if first == BOOL or second == BOOL:
        return second if first == BOOL else first
    if is_floating(first) != is_floating(second):
        return first if is_floating(first) else second
    if is_floating(first):
        return _wider_float(first, second)
    return _wider_integer(first, second)


def promote_scalar(dtype: str, scalar: bool | int | float) -> str:
    """The type of a result of a tensor of `dtype` and a Python number."""
    if isinstance(scalar, bool) or is_floating(dtype):
        return dtype
    if isinstance(scalar, int):
        return DEFAULT_INTEGER if dtype == BOOL else dtype
    return DEFAULT_FLOAT


def _wider_float(first: str, second: str) -> str:
    if {first, second} == {"float16", "bfloat16"}:
        return "float32"
    return first if _BITS[first] > _BITS[second] else second


def _wider_integer(first: str, second: str) -> str:
    if first.startswith("u") == second.startswith("u"):
        return first if _BITS[first] > _BITS[second] else second
    signed, unsigned = (second, first) if first.startswith("u") else (first, second)
    if _BITS[signed] > _BITS[unsigned]:
        return signed
    if unsigned == "uint64":
        raise DTypeError(f"There is no integer type that holds both {first} and {second}. Cast one of them with astype first.")
    return f"int{2 * _BITS[unsigned]}"
