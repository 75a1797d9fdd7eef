"""What a process that tries a version says, and what it means that it says nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from sluice_server.handover import Fetched, Report
from sluice_server.reload.child import Child

TWO = "models:/iris/2"
READY = Report(TWO, True, "the model answered its input example")
LONG, SHORT = 30.0, 0.02


def heard(*said: Fetched | Report, ends: bool, fetch: float = LONG, load: float = LONG) -> Report:
    """The report on a process that says this, and then ends, or hangs."""

    async def wait() -> int:
        return -9

    async def scene() -> Report:
        reader, nothing = asyncio.StreamReader(), Any
        for each in said:
            reader.feed_data(msgspec.json.encode(each) + b"\n")
        if ends:
            reader.feed_eof()
        child = Child(TWO, SimpleNamespace(wait=wait), reader, nothing, Path())  # type: ignore[arg-type]
        return await child.report(fetch, load)

    return asyncio.run(scene())


@pytest.mark.parametrize("before", [[], [Fetched()], [Fetched(), Fetched()]])
def test_a_version_that_is_ready_is_told(before: list[Fetched]) -> None:
    """Whatever was said on the way there."""
    assert heard(*before, READY, ends=False) == READY


def test_files_that_do_not_come_are_no_fault_of_the_version() -> None:
    """It is tried again at the next look, and the registry is named."""
    report = heard(ends=False, fetch=SHORT)
    assert (report.ready, report.final) == (False, False)
    assert report.reason == "the registry or the store of its files has not given all of them within 0.02 s"


def test_a_version_that_is_never_ready_is_to_blame() -> None:
    """All of it was there, so another try would end in the same way."""
    report = heard(Fetched(), ends=False, fetch=SHORT, load=SHORT)
    assert (report.ready, report.final) == (False, True)
    assert report.reason == "it was not ready 0.02 s after its files had come"


@pytest.mark.parametrize("said", [[], [Fetched()]])
def test_a_process_that_ends_without_a_report_has_crashed(said: list[Fetched]) -> None:
    """Its signal is told."""
    report = heard(*said, ends=True)
    assert (report.ready, report.final) == (False, True)
    assert "ended with signal 9" in report.reason
