"""An ONNX model in memory, run by ONNX Runtime in one thread, within the memory that the container has for it.

A small file can have any number of outputs: each of thirty operators may double what it gets. So ONNX Runtime gets its
memory out of a store that ends before the container does, and a request that needs more is an error.
Neither the package `onnx` nor the library that the model was trained with is needed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime

from sluice_server.model.schema import Rows, Schema
from sluice_server.runtimes import container_memory, row_count
from sluice_server.runtimes.missing import nullable
from sluice_server.runtimes.onnx_inputs import Input, feeding
from sluice_server.runtimes.onnx_outputs import reading
from sluice_server.runtimes.output import Output
from sluice_server.runtimes.steps import refusal

_ERRORS = 3  # the level from which on it logs


class OnnxModel:
    """See `port.LoadedModel`. `labels` and `takes_missing`: what is known beside the file, None where nothing is."""

    def __init__(
        self,
        session: Any,
        schema: Schema,
        example: Rows,
        labels: Sequence[Any] | None = None,
        takes_missing: Sequence[bool] | None = None,
        function: str = "predict",
    ) -> None:
        self._session = session
        self._feed = feeding([_input(each) for each in session.get_inputs()], schema)
        outputs = [(each.name, each.type) for each in session.get_outputs()]
        self._outputs = reading(outputs, session.run(None, self._feed(example)), labels, function)
        self.classes = self._outputs.classes
        self.nullable = tuple(takes_missing) if takes_missing is not None else _nullable(self, schema, example)

    def predict(self, rows: Rows) -> Output:
        """The output for rows of shape (rows, columns).

        Raises UnfitRowsError where an operator does not take their values, NotFiniteError, and what ONNX Runtime
        raises.
        """
        inputs = self._feed(rows)
        try:
            answers = self._session.run(self._outputs.names, inputs)
        except Exception as error:  # ONNX Runtime's own have no class in common
            if told := refusal(error):
                raise told from error
            raise
        return self._outputs.read(answers)


def load(
    path: Path,
    schema: Schema,
    example: Rows,
    labels: Sequence[Any] | None = None,
    takes_missing: Sequence[bool] | None = None,
    function: str = "predict",
) -> OnnxModel:
    """The model in an ONNX file, which has answered `example`. Raises ModelError, and what ONNX Runtime raises."""
    model = OnnxModel(session(path), schema, example, labels, takes_missing, function)
    row_count.prove(model.predict, example)
    return model


def session(path: Path) -> Any:
    """ONNX Runtime with the model file, in the thread that asks it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a pod's cores are not the node's
    options.log_severity_level = _ERRORS
    options.add_session_config_entry("session.load_model_format", "ONNX")  # nothing else was checked
    if _has_limit():
        options.add_session_config_entry("session.use_env_allocators", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@cache
def _has_limit() -> bool:
    """Whether ONNX Runtime has a limit for all memory of its tensors: what the container leaves at the first model."""
    limit = container_memory.limit()
    if limit is not None:
        limit_memory(container_memory.for_model(limit, container_memory.taken()))
    return limit is not None


def limit_memory(most: int) -> None:
    """Give all sessions of this process that use the allocators of the environment `most` bytes together."""
    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg({"max_mem": most}))


def _input(described: Any) -> Input:
    sizes = tuple(size if isinstance(size, int) and size >= 0 else None for size in described.shape)
    return Input(described.name, described.type, sizes)


def _nullable(model: OnnxModel, schema: Schema, example: Rows) -> tuple[bool, ...]:
    """ONNX Runtime refuses no NaN: what counts is that the model was trained on some, as its signature says."""
    answers = nullable(model.predict, example)
    return tuple(answered and not column.required for answered, column in zip(answers, schema.columns, strict=True))
