"""A registry or a store that hangs, and one that is only slow."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluice_server.fetch import artifacts, patience
from sluice_server.fetch.artifacts import Artifacts
from sluice_server.fetch.outcome import Unavailable
from sluice_server.fetch.patience import patient, size
from sluice_server.store.steady import LEAST

SOON = 0.05  # seconds
BUCKET = "mlflow-artifacts:/1/models/m-1/artifacts"


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What nobody sets before the test is over."""
    monkeypatch.setattr(patience, "WITHIN", SOON)
    event = threading.Event()
    yield event
    event.set()


class Hanging:
    """A store that brings some bytes of a file, or of a list, and no more."""

    def __init__(self, never: threading.Event) -> None:
        self._never = never

    def list_artifacts(self, folder: str | None) -> list[Any]:
        self._never.wait()
        return []

    def download_artifacts(self, path: str, target: str) -> None:
        (Path(target) / path).write_bytes(b"some")
        self._never.wait()


def test_a_store_that_hangs_is_named_and_not_the_version(never: threading.Event, tmp_path: Path) -> None:
    """Another try may succeed. So the message has the place and the file, and what came."""
    stored = Artifacts(Hanging(never), BUCKET)
    why = f"less than 64 KiB have come within {SOON:g} s"
    listed = artifacts.list_files(stored)
    assert listed == Unavailable("ArtifactsUnreachable", f"the files at {BUCKET} cannot be listed: {why}")
    loaded = artifacts.download(stored, ["model.skops"], tmp_path)
    assert loaded == Unavailable("ArtifactsUnreachable", f"model.skops at {BUCKET} cannot be read: {why}")


def test_what_is_slow_and_goes_on_is_waited_for(never: threading.Event) -> None:
    """A large model may take an hour; nobody has to know how long."""
    came, looks = 0, 0

    def more() -> int:
        nonlocal came, looks
        came, looks = came + LEAST, looks + 1
        if looks > 3:
            never.set()
        return came

    assert patient(lambda: never.wait() and "all of it", more) == "all of it"
    assert looks > 3


def test_what_asking_raises_is_raised(never: threading.Event) -> None:
    """Also if it is that something took too long for the client itself."""

    def fail() -> None:
        raise TimeoutError("the client's own")

    with pytest.raises(TimeoutError, match="the client's own"):
        patient(fail)


def test_bytes_that_come_into_a_file_of_full_size_count(tmp_path: Path) -> None:
    """Clients of object stores make the file first, and write its parts in any order."""
    with (tmp_path / "model").open("wb") as file:
        file.truncate(1_000_000)
        before = size(tmp_path)
        file.write(b"x" * 200_000)
        file.flush()
        os.fsync(file.fileno())
        assert size(tmp_path) - before >= LEAST


_HANGS = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from sluice_server import __main__ as command
from sluice_server.fetch import patience

pool = ThreadPoolExecutor(1)
def ask():
    pool.submit(threading.Event().wait).result()
try:
    patience.WITHIN = 0.05
    patience.patient(ask)
except TimeoutError:
    command.leave(3)
"""


def test_a_process_ends_although_somebody_still_waits() -> None:
    """At its end, Python waits for the threads of all pools, and MLflow has some: a pod would never try again."""
    ended = subprocess.run([sys.executable, "-c", _HANGS], timeout=60, check=False, env=os.environ)
    assert ended.returncode == 3
