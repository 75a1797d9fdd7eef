"""What a log record looks like."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime

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


class Hello(logs.Event, frozen=True, kw_only=True):
    logger: str = "a"
    message: str = "hello"
    rows: object


@pytest.fixture
def ids() -> Iterator[None]:
    """Forgets the ids that a test has set."""
    tokens = logs.correlation_id.set(""), logs.trace_id.set("")
    yield
    logs.correlation_id.reset(tokens[0])
    logs.trace_id.reset(tokens[1])


@pytest.mark.usefixtures("ids")
@pytest.mark.parametrize("level", ["INFO", "WARNING"])
@pytest.mark.parametrize("format", LogFormat)
def test_an_event_is_written_as_any_other_record(level: str, format: LogFormat) -> None:
    """With the same fields and ids in the same order, below the same level, in both formats."""
    stream = io.StringIO()
    logs.configure(LogSettings(level, format), stream)
    logger = logging.getLogger("a")
    for trace, rows in ("", 1), ("0af7", [{"a": 1.5, "at": datetime(2026, 1, 2)}]):
        logs.correlation_id.set("request-7")
        logs.trace_id.set(trace)
        logs.event(logger, Hello(rows=rows))
        logger.info("hello", extra={"fields": {"rows": rows}})
    without_time = [re.sub(r"20\d\d-\S+?Z", "", line, count=1) for line in stream.getvalue().splitlines()]
    assert without_time[::2] == without_time[1::2]
    assert len(without_time) == (4 if level == "INFO" else 0)


@pytest.mark.usefixtures("ids")
def test_the_events_of_one_turn_of_the_loop_are_written_in_one_piece() -> None:
    """Each with the ids of its own request."""
    stream = io.StringIO()
    logs.configure(LogSettings("INFO", LogFormat.JSON), stream)

    async def requests() -> None:
        for number in range(2):
            logs.correlation_id.set(f"request-{number}")
            logs.event(logging.getLogger("a"), Hello(rows=number))
        assert stream.getvalue() == ""
        await asyncio.sleep(0)

    asyncio.run(requests())
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(record["correlation_id"], record["rows"]) for record in records] == [("request-0", 0), ("request-1", 1)]


@pytest.mark.parametrize(
    ("share", "chance", "written"), [(0.0, 0.0, 0), (0.1, 0.05, 1), (0.1, 0.1, 0), (1.0, 0.999, 1)]
)
def test_predictions_are_logged_for_the_sampled_share(share: float, chance: float, written: int) -> None:
    """Off at 0, all at 1, else by chance; with features by name, prediction and model."""
    stream = io.StringIO()
    logs.configure(LogSettings("INFO", LogFormat.JSON), stream)
    log = PredictionLog(Identity("iris", "3", "abcdefghij"), ("a", "b"), share, chance=lambda: chance)
    log.write(np.array([[1.0, 2.0]]), Prediction(Output(np.array([0]), None, None), [0], "x"), ("setosa", "virginica"))
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(records) == written
    for record in records:
        assert (record["event"], record["features"]) == ("prediction", {"a": 1, "b": 2})
        assert record["prediction"] == {"class_id": 0, "class_name": "setosa"}
        assert record["model"] == {
            "name": "iris", "version": "3", "revision": "abcdefghij", "source": "registry:iris/v3"
        }  # fmt: skip


@pytest.mark.parametrize(("rows", "logged"), [(2, 2), (20, 20), (21, 20), (100, 20)])
def test_at_most_twenty_rows_of_a_request_are_logged(rows: int, logged: int) -> None:
    """The first ones, with their predictions; the record still says how many rows there were."""
    stream = io.StringIO()
    logs.configure(LogSettings("INFO", LogFormat.JSON), stream)
    log = PredictionLog(Identity("iris", "3", "abcdefghij"), ("a",), 1.0)
    log.write(np.arange(float(rows)).reshape(-1, 1), Prediction(Output(np.arange(rows), None, None), [], "x"), None)
    record = json.loads(stream.getvalue())
    assert record["features"] == [{"a": float(row)} for row in range(logged)]
    assert (record["prediction"], record["rows"]) == ([{"value": row} for row in range(logged)], rows)


@pytest.mark.parametrize(
    ("redacted", "features"),
    [
        (("b", "c"), {"a": "4711", "b": "redacted", "c": "redacted"}),
        (("*",), {"a": "redacted", "b": "redacted", "c": "redacted"}),
        ((), {"a": "4711", "b": None, "c": "2026-01-02T03:04:05"}),
    ],
)
def test_columns_can_be_kept_out_of_the_log(redacted: tuple[str, ...], features: dict[str, object]) -> None:
    """Whatever is in them, missing values too; the others are written as they are."""
    stream = io.StringIO()
    logs.configure(LogSettings("INFO", LogFormat.JSON), stream)
    log = PredictionLog(Identity("", "", "abcdefghij", "runs:/1/m"), ("a", "b", "c"), 1.0, redacted)
    row = np.array([["4711", float("nan"), datetime(2026, 1, 2, 3, 4, 5)]], dtype=object)
    log.write(row, Prediction(Output(np.array([1.5]), None, None), [], None), None)
    record = json.loads(stream.getvalue())
    assert (record["features"], record["model"]["source"]) == (features, "runs:/1/m")


@pytest.mark.parametrize("names", [("a", "size (cm)"), ('5" disks', "a\\b"), ("a\nb", "ä")])
@pytest.mark.parametrize("format", LogFormat)
def test_columns_may_have_any_name(names: tuple[str, ...], format: LogFormat) -> None:
    """Each is in the log as it is called."""
    stream = io.StringIO()
    logs.configure(LogSettings("INFO", format), stream)
    log = PredictionLog(Identity("iris", "3", "abcdefghij"), names, 1.0, (names[1],))
    log.write(np.array([[1.0, 2.0]]), Prediction(Output(np.array([1.5]), None, None), [], None), None)
    expected = {names[0]: 1.0, names[1]: "redacted"}
    if format is LogFormat.JSON:
        assert json.loads(stream.getvalue())["features"] == expected
    else:
        assert f"features={expected} " in stream.getvalue()


def test_a_redacted_column_that_does_not_exist_is_told() -> None:
    """It may be misspelt, and the column that was meant would be in the log."""
    stream = io.StringIO()
    logs.configure(LogSettings("INFO", LogFormat.JSON), stream)
    PredictionLog(Identity("iris", "3", "abcdefghij"), ("name",), 1.0, ("nmae", "name", "*"))
    (line,) = stream.getvalue().splitlines()
    assert "'nmae', which is no column of the model" in json.loads(line)["message"]


def test_a_record_that_cannot_be_written_ends_no_log() -> None:
    """It is told that one was lost; those beside it and after it are there."""
    stream = io.StringIO()
    handler = logs.JsonHandler(stream)

    async def log() -> None:
        for message in ("first", "half of a pair: \ud800", "second"):
            handler.add(logs.Event(logger="a", message=message))
        await asyncio.sleep(0)
        handler.add(logs.Event(logger="a", message="later"))

    asyncio.run(log())
    messages = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert messages == ["first", "a record was lost: UnicodeEncodeError", "second", "later"]
