"""Rows in, a prediction out: the loaded model behind its batcher, and the ids that feedback names predictions by."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from sluice_server.inference.batching import Batcher, Outcome, QueueFullError
from sluice_server.inference.leaving import unless_gone
from sluice_server.inference.params import Params
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.prediction_ids import MAX_ROWS, Keys, PredictionId, are_text, class_hashes
from sluice_server.inference.rejection import Cause, Rejection, invalid
from sluice_server.model.schema import Rows
from sluice_server.runtimes.output import Output, Values
from sluice_server.runtimes.port import NotFiniteError, UnfitRowsError
from sluice_server.tolerance import Tolerance

logger = logging.getLogger("sluice.predict")
NOT_READY = Rejection(Cause.NOT_READY, "no model is ready: /health/ready says why")


class DataPlane:
    """Predicts once it has a model; before that every request is rejected as NOT_READY.

    `ready` says whether callers may be answered. `classes` are the labels of a classifier in the order of its class
    indexes, and None for other models and as long as there is none. `example` is what it gives for its input example.
    `cells_per_row`: values and probabilities of an answer; infinite where a value may be as long as the model likes.
    Without a keyring predictions have no ids. `kept`: the share of predictions whose rows the store keeps, 0 to 1.
    With a `tolerance` predicted numbers have ids, too, and not only classes.
    """

    def __init__(
        self, revision: str, keyring: Keys | None, kept: float = 0.0, tolerance: Tolerance | None = None
    ) -> None:
        self.ready = False
        self.classes: tuple[Any, ...] | None = None
        self.example: Output | None = None
        self.cells_per_row = math.inf
        self._revision = revision
        self._keyring = keyring
        self._kept = kept
        self._tolerance = tolerance
        self._batcher: Batcher | None = None
        self._text = False
        self._hashes: tuple[bytes, ...] = ()

    @property
    def tolerance(self) -> Tolerance | None:
        """Within which a predicted number is right; None for a model of classes, which are right or wrong."""
        return self._tolerance if self.classes is None else None

    def take(self, batcher: Batcher, classes: tuple[Any, ...] | None) -> None:
        """From now on this model predicts."""
        self.classes = classes
        self._text = are_text(classes or ())
        self._hashes = class_hashes(classes or ())
        self._batcher = batcher

    def open(self, example: Output) -> None:
        """From now on callers are answered; the model has given `example` for its input example."""
        self.example = example
        self.cells_per_row = math.inf if example.is_open else example.cells / len(example.values)
        self.ready = True

    async def predict(
        self,
        rows: Rows,
        entry: str,
        probe: bool,
        disconnected: Callable[[], Awaitable[object]],
        params: Params | None = None,
    ) -> Prediction | Rejection | None:
        """The prediction for the rows; None if the caller went away first. Raises whatever the model raises.

        `disconnected` is awaited while the rows wait, unless they are answered at once; it returns when the caller goes
        away, and they leave the queue.
        `entry` is the port that they came through; a `probe` of the operator gets no id.
        """
        if self._batcher is None:
            return NOT_READY
        at_once = self._batcher.answers_at_once(len(rows))
        try:
            pending = self._batcher.submit(rows, params)
        except QueueFullError as full:
            message = f"{full} rows wait for the model already: send again later, or add replicas"
            return Rejection(Cause.OVERLOADED, message)
        try:
            if at_once:
                return self._prediction(await pending, entry, probe)
            output = await unless_gone(disconnected, pending)
        except UnfitRowsError as error:
            if isinstance(error, NotFiniteError):
                logger.warning("a request is refused: %s", error)
            return invalid((), "value_error", str(error))
        return None if output is None else self._prediction(output, entry, probe)

    def answers_at_once(self, rows: int) -> bool:
        """Whether so many rows would be in the next batch, before the loop turns to anything else."""
        return self._batcher is not None and self._batcher.answers_at_once(rows)

    def predict_at_once(
        self, rows: Rows, entry: str, probe: bool, deliver: Callable[[Prediction | Exception], None]
    ) -> None:
        """Has `deliver` called with the prediction for rows that are answered at once, or with what the model raised.

        `deliver` must not raise. A caller that goes away meanwhile is not noticed.
        """
        assert self._batcher is not None

        def take(outcome: Outcome) -> None:
            try:
                taken = outcome if isinstance(outcome, Exception) else self._prediction(outcome, entry, probe)
            except Exception as error:
                taken = error
            deliver(taken)

        self._batcher.put(rows, take)

    def _prediction(self, output: Output, entry: str, probe: bool) -> Prediction:
        indexes = [] if output.classes is None else output.classes.tolist()
        if probe:
            return Prediction(output, indexes, None)
        request, kept = _request(), random.random() < self._kept  # noqa: S311
        named = self._id(entry, output, indexes, request, kept)
        return Prediction(output, indexes, named, request.hex() if kept else "")

    def _id(self, entry: str, output: Output, indexes: list[int], request: bytes, kept: bool) -> str | None:
        if self._keyring is None or len(output.values) > MAX_ROWS:
            return None
        within = self._tolerance if output.classes is None else None
        got = b"".join([self._hashes[index] for index in indexes]) if within is None else _numbers(output.values)
        if not got:
            return None
        return self._keyring.issue(
            PredictionId(self._revision, entry, int(time.time()), request, self._text, got, kept, within)
        )


def _numbers(values: Values) -> bytes:
    """The number that each row got, as a prediction id has it; nothing where a row got something else."""
    if values.dtype.kind not in "iuf" or values.size != len(values):
        return b""
    numbers = values.astype(">f8")
    return numbers.tobytes() if np.isfinite(numbers).all() else b""


def _request() -> bytes:
    """What tells requests apart. It keeps no secret: what makes an id ours is its signature."""
    return random.randbytes(8)  # noqa: S311
