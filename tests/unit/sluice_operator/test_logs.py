"""Log lines: JSON, with the object that they are about as fields."""

import asyncio
import json
import logging
import sys

from sluice_operator import logs

FIELDS = {"namespace": "models", "name": "iris", "run": "abc-1", "revision": "abc"}


def line(message: str) -> dict[str, str]:
    """What is written for `message`, logged now."""
    record = logging.LogRecord("sluice_operator", logging.INFO, __file__, 1, message, (), None)
    fields: dict[str, str] = json.loads(logs.JsonFormatter().format(record))
    return fields


def test_a_line_about_an_object_names_it_and_its_run() -> None:
    """One query of the log store then shows all that happened to a run."""
    with logs.about("models", "iris"):
        assert "run" not in line("read")
        logs.about_run("abc-1", "abc")
        assert FIELDS.items() <= line("decided").items()
    assert "namespace" not in line("idle")


def test_a_thread_that_is_started_for_an_object_has_its_fields() -> None:
    """Prometheus is asked, and evidence is counted, in threads."""

    async def in_thread() -> dict[str, str]:
        with logs.about("models", "iris"):
            return await asyncio.to_thread(line, "counting")

    assert asyncio.run(in_thread())["name"] == "iris"


def test_two_objects_at_the_same_time_are_not_mixed_up() -> None:
    """Each worker has its own fields."""

    async def work(name: str, other: asyncio.Event, mine: asyncio.Event) -> str:
        with logs.about("models", name):
            mine.set()
            await other.wait()
            return line("working")["name"]

    async def both() -> tuple[str, str]:
        first, second = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(work("iris", second, first), work("wine", first, second))

    assert tuple(asyncio.run(both())) == ("iris", "wine")


def test_a_traceback_is_one_field() -> None:
    """So that a log store keeps it together."""
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.LogRecord("sluice_operator", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    assert "ValueError: broken" in json.loads(logs.JsonFormatter().format(record))["exception"]
