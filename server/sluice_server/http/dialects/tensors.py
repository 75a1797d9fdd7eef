"""Tensors of the Open Inference Protocol: their types, as lists in JSON and as bytes behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

# The BYTES of the protocol are text here, and no numpy type.
_SIZES = {"INT": ("i", (1, 2, 4, 8)), "UINT": ("u", (1, 2, 4, 8)), "FP": ("f", (2, 4, 8))}
_TYPES = {"BOOL": np.dtype("?")} | {
    f"{name}{8 * size}": np.dtype(f"<{kind}{size}") for name, (kind, sizes) in _SIZES.items() for size in sizes
}
_NAMES: dict[tuple[str, int], str] = {(kind.kind, kind.itemsize): name for name, kind in _TYPES.items()}

DIMENSIONS = 2  # that are read
_SHOWN = 4  # sizes of a shape in a message
_LENGTH = 4  # bytes before a text


class TensorError(ValueError):
    """A tensor that is not as it says; the message says how."""


class Tensor(msgspec.Struct):
    """An input as it came: nested or flat values, or the number of its bytes behind the JSON."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}

    @property
    def binary_size(self) -> int | None:
        """The number of bytes behind the JSON; None if the values are in it."""
        size = self.parameters.get("binary_data_size")
        return size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None


def values(tensor: Tensor, binary: bytes | None) -> list[Any]:
    """The values as lists of rows, or as a list if a row has one value; raises TensorError."""
    if not 1 <= len(tensor.shape) <= DIMENSIONS or any(size < 0 for size in tensor.shape):
        raise TensorError(f"the shape {shown(tensor.shape)} is none of 1 to {DIMENSIONS} sizes")
    if 0 in tensor.shape[1:]:  # as many rows as anybody likes would have no value, and the body no length
        raise TensorError(f"the shape {shown(tensor.shape)} has rows without values")
    if tensor.shape[1:] == [1]:
        tensor = _flat(tensor)
    if binary is not None:
        return _from_bytes(tensor, binary)
    if tensor.data is None:
        raise TensorError("there is neither data nor binary_data_size")
    if tensor.datatype.lstrip("U").startswith("INT"):
        _check_whole(tensor)
    return _nested(_booleans(tensor.data) if tensor.datatype == "BOOL" else tensor.data, tensor.shape)


def shown(shape: Sequence[int]) -> str:
    """A shape in a message: not all of what somebody has sent."""
    sizes = ", ".join(map(str, shape[:_SHOWN]))
    return f"[{sizes}]" if len(shape) <= _SHOWN else f"[{sizes}, ... of {len(shape)} sizes]"


def _flat(tensor: Tensor) -> Tensor:
    """The same values without a list around each."""
    data = tensor.data
    if data and isinstance(data[0], list):
        if any(not isinstance(each, list) or len(each) != 1 for each in data):
            raise TensorError(f"the data does not have the shape {shown(tensor.shape)}")
        data = [each[0] for each in data]
    return msgspec.structs.replace(tensor, shape=tensor.shape[:1], data=data)


def _check_whole(tensor: Tensor) -> None:
    """A fraction in a tensor of whole numbers is a mistake of whoever wrote it."""
    for each in tensor.data or ():
        for value in each if isinstance(each, list) else (each,):
            if isinstance(value, float) and not value.is_integer():
                raise TensorError(f"{value} is no {tensor.datatype}: send whole numbers, or the datatype FP64")


def _booleans(data: list[Any]) -> list[Any]:
    """Some clients write booleans as numpy's bytes of them: 1 and 0."""
    return [
        [_boolean(value) for value in each] if isinstance(each, list) else _boolean(each)  # nested or flat
        for each in data
    ]


def _boolean(value: Any) -> Any:
    return bool(value) if type(value) is int and value in (0, 1) else value


def _from_bytes(tensor: Tensor, binary: bytes) -> list[Any]:
    count = math.prod(tensor.shape)
    if tensor.datatype == "BYTES":
        return _nested(_texts(binary, count), tensor.shape)
    kind = _TYPES.get(tensor.datatype)
    if kind is None:
        raise TensorError(f"{tensor.datatype} is not read as bytes: send the values in the JSON")
    if len(binary) != count * kind.itemsize:
        needed = count * kind.itemsize
        raise TensorError(f"{len(binary)} bytes came, and the shape {shown(tensor.shape)} needs {needed}")
    listed: list[Any] = np.frombuffer(binary, kind).reshape(tensor.shape).tolist()
    return listed


def _texts(binary: bytes, count: int) -> list[Any]:
    """Texts, each with its length before it; raises TensorError."""
    found, at = list[Any](), 0
    while at < len(binary) and len(found) < count:
        start = at + _LENGTH
        at = start + int.from_bytes(binary[at:start], "little")
        found.append(binary[start:at])
    if len(found) != count or at != len(binary):
        raise TensorError(f"the {len(binary)} bytes that came are not {count} texts, each after its length")
    try:
        return [text.decode() for text in found]
    except UnicodeDecodeError:
        raise TensorError("a text is not UTF-8") from None


def _nested(data: list[Any], shape: list[int]) -> list[Any]:
    """Both spellings of the protocol: flat in the order of rows, or nested."""
    if len(shape) == 1 or (data and isinstance(data[0], list)):
        widths = {len(row) if isinstance(row, list) else 0 for row in data} if len(shape) > 1 else set[int]()
        if len(data) != shape[0] or widths - {shape[-1]}:
            raise TensorError(f"the data does not have the shape {shown(shape)}")
        return data
    rows, width = shape
    if len(data) != rows * width:
        raise TensorError(f"{len(data)} values came, and the shape {shown(shape)} needs {rows * width}")
    return [data[at * width : (at + 1) * width] for at in range(rows)]


def datatype(array: NDArray[Any]) -> str:
    """The name of an array's type; BYTES for text."""
    return _NAMES.get((array.dtype.kind, array.dtype.itemsize), "BYTES")


def to_list(array: NDArray[Any]) -> list[Any]:
    """An array as it is written in the JSON; whatever is neither number nor text is a text of JSON itself."""
    values = array.ravel().tolist()
    if datatype(array) != "BYTES":
        return values
    return [value if isinstance(value, str) else msgspec.json.encode(value).decode() for value in values]


def to_bytes(array: NDArray[Any]) -> bytes:
    """An array as it is written behind the JSON; each text with its length before it."""
    if datatype(array) != "BYTES":
        return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False)).tobytes()
    texts = [text.encode() for text in to_list(array)]
    return b"".join(len(text).to_bytes(_LENGTH, "little") + text for text in texts)
