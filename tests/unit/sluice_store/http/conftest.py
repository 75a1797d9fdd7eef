"""A store over a folder and SQLite, for the tests of its API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.unit.sluice_store.http.test_api import KEY, client


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with client(folder, KEY) as opened:
        yield opened
