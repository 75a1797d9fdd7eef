"""The report on the page is the one of `kubectl sluice replay`, and no record stops the page."""

from __future__ import annotations

import asyncio
import base64
import sys
import zlib
from pathlib import Path

import pytest
from msgspec.structs import replace

from sluice_operator import report
from sluice_operator.api import names
from sluice_operator.records.replay import replayed
from sluice_operator.web.pages.run import Report
from sluice_operator.web.reports import Reports
from tests.unit.sluice_operator.cli.terminal import a_record, config_map

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="the page runs in pods, and limits its processes as Linux does"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def packed(text: bytes) -> str:
    return base64.b64encode(zlib.compress(text)).decode()


async def test_a_report_is_that_of_the_command_line() -> None:
    """Word for word; and it is made once."""
    record = a_record(bad=0.3)
    in_cluster = config_map(record)["binaryData"][names.RECORD_KEY]
    reports = Reports()
    made = await reports.of("1", in_cluster)
    assert made == Report(report.title(replayed(record)), report.content(replayed(record)))
    assert await reports.of("1", "another") == made


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ("no base64!", "The record cannot be read"),
        (base64.b64encode(b"no zlib").decode(), "The record cannot be read"),
        (packed(b'{"format": 1}'), "has format 1"),
        (packed(b"[" * 100_000), "The record cannot be read"),
        (packed(b" " * 60_000_000), "more than 50 MB"),
    ],
)
async def test_a_record_that_is_none_is_a_sentence(record: str, sentence: str) -> None:
    """Also one that is a kilobyte, and has gigabytes when it is unpacked."""
    assert sentence in (await Reports().of("1", record)).trouble


async def test_a_process_that_a_limit_ends_is_a_sentence() -> None:
    """It has no report; the page goes on."""
    reports = Reports((sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGXCPU)"))
    assert "ended with code -24" in (await reports.of("1", "record")).trouble


async def test_a_report_that_is_too_long_is_a_sentence() -> None:
    """A record of kilobytes can have a message of megabytes, and the page keeps its reports in memory."""
    record = a_record()
    long = replace(record, run=replace(record.run, message="&" * 1_000_000, reason="Other"))
    trouble = (await Reports().of("1", config_map(long)["binaryData"][names.RECORD_KEY])).trouble
    assert "and this page shows 2 MiB at most" in trouble


async def test_a_process_that_says_too_much_is_ended() -> None:
    """Though it would never end by itself."""
    reports = Reports((sys.executable, "-S", "-c", "while True: print('x' * 10_000)"))
    assert "it takes too much" in (await reports.of("1", "record")).trouble


async def test_only_the_newest_reports_are_kept() -> None:
    """The others are made again."""
    program = 'import sys; print(\'{"title": "%s"}\' % sys.stdin.read())'
    reports = Reports((sys.executable, "-S", "-c", program), kept=1)
    assert [(await reports.of(key, text)).title for key, text in (("1", "a"), ("2", "b"), ("1", "c"))] == [
        "a",
        "b",
        "c",
    ]


async def test_one_report_is_made_at_a_time(tmp_path: Path) -> None:
    """Each may use a core and much memory."""
    program = "import os, sys; os.mkdir(sys.argv[1]); os.rmdir(sys.argv[1]); print('{}')"
    reports = Reports((sys.executable, "-S", "-c", program, str(tmp_path / "busy")))
    assert await asyncio.gather(*(reports.of(str(key), "") for key in range(3))) == [Report()] * 3
