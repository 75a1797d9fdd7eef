"""What a log record looks like."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import numpy as np
import pytest

from sluice_server import logs
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.prediction_log import PredictionLog
from sluice_server.model.identity import Identity
from sluice_server.runtimes.output import Output
from sluice_server.settings import LogFormat, LogSettings


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Gives the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # or `configure` would close those of pytest
    yield
    root.handlers[:], root.level = handlers, level


def test_json_records_carry_the_correlation_id_and_fields() -> None:
    """One object per line, with the fields of the record in it."""
    stream = io.StringIO()
    logs.configure(LogSettings("INFO", LogFormat.JSON), stream)
    token = logs.correlation_id.set("request-7")
    logging.getLogger("a.b").info("hello %s", "you", extra={"fields": {"rows": 3}})
    logging.getLogger("a.b").debug("too quiet")
    logs.correlation_id.reset(token)
    record = json.loads(stream.getvalue())
    assert record.pop("timestamp").endswith("Z")
    expected = {"level": "INFO", "logger": "a.b", "message": "hello you", "correlation_id": "request-7", "rows": 3}
    assert record == expected


def test_text_records_are_one_line() -> None:
    """For a person at a terminal."""
    stream = io.StringIO()
    logs.configure(LogSettings("INFO", LogFormat.TEXT), stream)
    logging.getLogger("a").warning("careful", extra={"fields": {"rows": 3}})
    assert stream.getvalue().endswith(" WARNING a: careful rows=3\n")


def test_an_exception_is_part_of_its_record() -> None:
    """A traceback does not fall apart into lines."""
    stream = io.StringIO()
    logs.configure(LogSettings("INFO", LogFormat.JSON), stream)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("a").exception("failed")
    assert "ValueError: broken" in json.loads(stream.getvalue())["exception"]


@pytest.mark.parametrize(
    ("share", "chance", "written"), [(0.0, 0.0, 0), (0.1, 0.05, 1), (0.1, 0.1, 0), (1.0, 0.999, 1)]
)
def test_predictions_are_logged_for_the_sampled_share(share: float, chance: float, written: int) -> None:
    """Off at 0, all at 1, else by chance; with features by name, prediction and model."""
    stream = io.StringIO()
    logs.configure(LogSettings("INFO", LogFormat.JSON), stream)
    log = PredictionLog(Identity("iris", "3", "abcdefghij"), ("a", "b"), share, lambda: chance)
    log.write(np.array([[1.0, 2.0]]), Prediction(Output(np.array([0]), None, None), [0], "x"))
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(records) == written
    for record in records:
        assert (record["event"], record["features"], record["prediction"]) == ("prediction", {"a": 1, "b": 2}, [0])
        assert record["model"] == {"name": "iris", "version": "3", "revision": "abcdefghij"}


@pytest.mark.parametrize(("rows", "logged"), [(2, 2), (20, 20), (21, 20), (100, 20)])
def test_at_most_twenty_rows_of_a_request_are_logged(rows: int, logged: int) -> None:
    """The first ones, with their predictions; the record still says how many rows there were."""
    stream = io.StringIO()
    logs.configure(LogSettings("INFO", LogFormat.JSON), stream)
    log = PredictionLog(Identity("iris", "3", "abcdefghij"), ("a",), 1.0)
    log.write(np.arange(float(rows)).reshape(-1, 1), Prediction(Output(np.arange(rows), None, None), [], "x"))
    record = json.loads(stream.getvalue())
    assert record["features"] == [{"a": float(row)} for row in range(logged)]
    assert (record["prediction"], record["rows"]) == (list(range(logged)), rows)
