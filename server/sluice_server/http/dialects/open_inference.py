"""The Open Inference Protocol, version 2, at /v2/models/NAME/infer: tensors in, tensors out, as JSON or as bytes.

There is one tensor for each column, by its name, or a single one that holds whole rows. The name counts first: a single
tensor that is called as a column, and has the shape of one, is that column.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from sluice_server.http import json_body
from sluice_server.http.dialects import parts, tensors
from sluice_server.http.dialects.port import STATUS, Body, Parsed
from sluice_server.http.dialects.tensors import Tensor, TensorError
from sluice_server.inference.params import NO_PARAMS, ParamReader
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.rejection import Cause, Rejection, invalid
from sluice_server.inference.rows import RowReader
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Rows

_encode = msgspec.json.Encoder().encode
_LENGTH = b"inference-header-content-length"
PREDICTIONS, PROBABILITIES = "predictions", "probabilities"
_OUTPUTS = (PREDICTIONS, PROBABILITIES)


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Request(msgspec.Struct):
    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[_Output] | None = None


@dataclass(frozen=True, slots=True)
class _Echo:
    """What a response repeats: the id, and for each wanted output whether it is wanted as bytes; None for all."""

    id: str | None
    outputs: Mapping[str, bool] | None
    binary: bool


def paths(identity: Identity) -> tuple[str, str]:
    """Those of the predictions of a model: of whichever version is here, and of this one."""
    model = f"/v2/models/{identity.model}"
    return f"{model}/infer", f"{model}/versions/{identity.version}/infer"


class OpenInferenceDialect:
    """See `port.Dialect`."""

    status: ClassVar[Mapping[Cause, int]] = {**STATUS, Cause.INVALID: 400}
    format: ClassVar[str] = (
        "JSON, or JSON with bytes behind it: send content-type: application/json or application/octet-stream"
    )

    def __init__(self, rows: RowReader, identity: Identity, params: ParamReader = NO_PARAMS) -> None:
        self.paths: tuple[str, ...] = paths(identity)
        self._rows = rows
        self._params = params
        self._identity = identity
        self._decoder = msgspec.json.Decoder(_Request)

    def reads(self, content_type: str) -> bool:
        return json_body.is_json(content_type) or content_type == "application/octet-stream"

    def parse(self, body: bytes, content_type: str = "", json_bytes: int | None = None) -> Parsed | Rejection:
        """The rows of the inputs; locations begin with the name of one."""
        if json_bytes is not None and json_bytes > len(body):
            message = f"inference-header-content-length is {json_bytes}, and the body has {len(body)} bytes"
            return invalid((), "value_error", message)
        text = body if json_bytes is None else body[:json_bytes]
        if refused := json_body.too_many_parts(text, self._rows.max_rows):
            return refused
        try:
            request = json_body.decode(self._decoder, text)
            if refused := self._too_large(request.inputs):
                return refused
            inputs = _values(self._known(request.inputs), body[len(text) :])
        except msgspec.ValidationError as error:
            return invalid((), "value_error", str(error))
        except json_body.NOT_JSON as error:
            return invalid((), "json_invalid", json_body.why(error, text))
        except TensorError as error:
            return invalid((), "value_error", str(error))
        unknown = [output.name for output in request.outputs or () if output.name not in _OUTPUTS]
        if unknown:
            return invalid((), "value_error", f"there is no output {unknown[0][:50]!r}, only {' and '.join(_OUTPUTS)}")
        rows = self._read(inputs)
        # The protocol has parameters of its own beside those of the model.
        given = {name: value for name, value in request.parameters.items() if name in self._params.names}
        params = self._params.read(given or None)
        if isinstance(params, Rejection):
            return params.below("parameters")
        return rows if isinstance(rows, Rejection) else Parsed(rows, _echo(request), params)

    def write(self, prediction: Prediction, echo: _Echo) -> Body:
        output = prediction.output
        found = {PREDICTIONS: output.values, PROBABILITIES: output.probabilities}
        wanted = echo.outputs or dict.fromkeys(_OUTPUTS, echo.binary)
        written, binary = [], list[bytes]()
        for name, as_bytes in wanted.items():
            if (array := found[name]) is None:
                continue
            part = {"name": name, "shape": list(array.shape), "datatype": tensors.datatype(array)}
            if as_bytes:
                binary.append(tensors.to_bytes(array))
                written.append({**part, "parameters": {"binary_data_size": len(binary[-1])}})
            else:
                written.append({**part, "data": parts.listed(array.ravel(), tensors.to_list)})
        text = _encode(
            {
                "model_name": self._identity.model,
                "model_version": self._identity.version,
                **({} if echo.id is None else {"id": echo.id}),
                "parameters": {"prediction_id": prediction.id},
                "outputs": written,
            }
        )
        if not binary:
            return Body(text)
        return Body(b"".join([text, *binary]), b"application/octet-stream", ((_LENGTH, str(len(text)).encode()),))

    def write_rejection(self, rejection: Rejection) -> bytes:
        return _encode({"error": rejection.located})

    def _too_large(self, inputs: Sequence[Tensor]) -> Rejection | None:
        """By the shapes alone: the values of what is refused would take a hundred times the memory of the body."""
        most, columns = self._rows.max_rows, len(self._rows.schema.columns)
        for tensor in inputs:
            if len(tensor.shape) > tensors.DIMENSIONS:  # refused where it is looked at; a product of many takes long
                continue
            if tensor.shape and tensor.shape[0] > most and 0 not in tensor.shape:
                return self._rows.too_many(tensor.shape[0]).below(tensor.name[:50])
            if math.prod(tensor.shape) > most * max(1, columns):
                shape = tensors.shown(tensor.shape)
                message = f"the shape {shape} has more values in a row than the model has columns: {columns}"
                return invalid((tensor.name[:50],), "value_error", message)
        return None

    def _known(self, inputs: Sequence[Tensor]) -> Iterator[tuple[Tensor, bool]]:
        """Each input, and whether its values are looked at: one alone, and those with the names of columns."""
        names = set(self._rows.schema.names)
        return ((tensor, len(inputs) == 1 or tensor.name in names) for tensor in inputs)

    def _read(self, inputs: Mapping[str, list[Any]]) -> Rows | Rejection:
        name, rows = next(iter(inputs.items()), ("", []))
        if len(inputs) == 1 and not (name in self._rows.schema.names and _is_column(rows)):
            if rows and not isinstance(rows[0], list):
                rows = [[value] for value in rows]
            read = self._rows.read(rows)
            return read.below(name) if isinstance(read, Rejection) else read
        return self._rows.read({name: _column(values) for name, values in inputs.items()})


def _values(inputs: Iterable[tuple[Tensor, bool]], binary: bytes) -> dict[str, list[Any]]:
    """The values of each input that is looked at; none of the others. Raises TensorError with the name of an input."""
    found, names, at = dict[str, list[Any]](), set[str](), 0
    for tensor, known in inputs:
        size = tensor.binary_size
        if tensor.name in names:
            raise TensorError(f"{tensor.name[:50]}: two inputs have this name")
        names.add(tensor.name)
        try:
            if known:
                found[tensor.name] = tensors.values(tensor, None if size is None else binary[at : at + size])
        except TensorError as error:
            raise TensorError(f"{tensor.name[:50]}: {error}") from None
        at += size or 0
    if at != len(binary):
        raise TensorError(f"{len(binary)} bytes are behind the JSON, and the inputs have {at}")
    return found


def _is_column(values: list[Any]) -> bool:
    """Whether there is one value for each row."""
    return not values or not isinstance(values[0], list) or len(values[0]) == 1


def _column(values: list[Any]) -> list[Any]:
    """The values of one column, of shape [n] or [n, 1]."""
    return [value[0] if isinstance(value, list) and len(value) == 1 else value for value in values]


def _echo(request: _Request) -> _Echo:
    as_bytes = request.parameters.get("binary_data_output") is True
    if request.outputs is None:
        return _Echo(request.id, None, as_bytes)
    wanted = {output.name: output.parameters.get("binary_data", as_bytes) is True for output in request.outputs}
    return _Echo(request.id, wanted, as_bytes)


def output_metadata(array: NDArray[Any], name: str) -> dict[str, Any]:
    """How /v2/models/NAME describes an output, from one that was given."""
    return {"name": name, "datatype": tensors.datatype(np.asarray(array)), "shape": [-1, *array.shape[1:]]}
