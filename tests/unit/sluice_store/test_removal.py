"""What is removed of a folder, and what is noted of each use."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sluice_store.files import Files
from sluice_store.models.expiry import GRACE
from sluice_store.removal import Removal
from sluice_store.uses import Uses

pytestmark = pytest.mark.anyio
DAY = 86_400.0
AGE = round(90 * DAY)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(f"file://{tmp_path}")


async def some_bytes() -> AsyncIterator[bytes]:
    yield b"model"


async def put(files: Files, *models: str) -> None:
    for model in models:
        await files.write(f"models/{model}", some_bytes())


def written(folder: Path, path: str) -> float:
    return (folder / path).stat().st_mtime


async def test_a_model_that_nobody_uses_is_removed(files: Files, tmp_path: Path) -> None:
    """One that is in use stays, however old its file is; bytes are counted by namespace."""
    await put(files, "a/old", "a/used", "b/other")
    uses, now = Uses(files), written(tmp_path, "models/a/used")
    removal = Removal(files, uses, AGE)
    await removal.once(now, 0.0)
    assert removal.kept == {"a": 10, "b": 5}
    for model in ("a/used", "b/other"):
        await uses.note(model)
        os.utime(tmp_path / "used" / model, (now + 95 * DAY, now + 95 * DAY))
    for uptime in (0.0, GRACE):
        await removal.once(now + 100 * DAY, uptime)
    assert removal.kept == {"a": 5, "b": 5}
    assert [await files.size(f"models/{model}") for model in ("a/old", "a/used", "b/other")] == [None, 5, 5]


async def test_a_use_is_written_again_after_half_a_day(files: Files, tmp_path: Path) -> None:
    """And not for each request."""
    time = 0.0
    uses = Uses(files, lambda: time)
    for moment, again in ((0.0, True), (DAY / 4, False), (DAY / 2, True)):
        time = moment
        (tmp_path / "used" / "a" / "model").unlink(missing_ok=True)
        await uses.note("a/model")
        assert ("a/model" in await uses.last()) is again


async def test_a_model_is_read_also_if_its_use_cannot_be_noted(files: Files, tmp_path: Path) -> None:
    """As on a volume that is full; the next request tries again."""
    uses = Uses(files)
    (tmp_path / "used").write_text("in the way of a folder")
    await uses.note("a/model")
    (tmp_path / "used").unlink()
    await uses.note("a/model")
    assert list(await uses.last()) == ["a/model"]
