"""What is removed of a folder, and what is noted of each use."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sluice_store.files import Files
from sluice_store.labels.label import Label
from sluice_store.labels.label_book import LabelBook
from sluice_store.models.expiry import GRACE
from sluice_store.removal import Ages, Removal
from sluice_store.space import SMALLEST, Space, Spaces
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


@pytest.fixture
def book(tmp_path: Path) -> LabelBook:
    return LabelBook(f"sqlite:///{tmp_path}/labels.db", AGE)


def spaces_of(files: Files) -> Spaces:
    """Without limits."""
    return Spaces(*(Space(files, collection, 0) for collection in ("models", "predictions", "runs")))


async def put(files: Files, *paths: str) -> None:
    for path in paths:
        await files.write(path, some_bytes())


def written(folder: Path, path: str) -> float:
    return (folder / path).stat().st_mtime


async def test_a_model_that_nobody_uses_is_removed(files: Files, book: LabelBook, tmp_path: Path) -> None:
    """One that is in use stays, however old its file is; bytes are counted by namespace."""
    await put(files, "models/a/old", "models/a/used", "models/b/other")
    uses, spaces, now = Uses(files), spaces_of(files), written(tmp_path, "models/a/used")
    removal = Removal(files, book, uses, Ages(AGE, AGE, AGE), spaces)
    await removal.models(now, 0.0)
    assert spaces.models.kept == {"a": 2 * SMALLEST, "b": SMALLEST}
    for model in ("a/used", "b/other"):
        await uses.note(model)
        os.utime(tmp_path / "used" / model, (now + 95 * DAY, now + 95 * DAY))
    for uptime in (0.0, GRACE):
        await removal.models(now + 100 * DAY, uptime)
    assert spaces.models.kept == {"a": SMALLEST, "b": SMALLEST}
    assert [await files.size(f"models/{model}") for model in ("a/old", "a/used", "b/other")] == [None, 5, 5]


@pytest.mark.parametrize(("age", "left"), [(AGE, ["new"]), (0, ["new", "old"])])
async def test_old_records_of_runs_are_removed(
    files: Files, book: LabelBook, tmp_path: Path, age: int, left: list[str]
) -> None:
    """0 keeps them for ever. What is left is counted."""
    await put(files, "runs/a/iris/old", "runs/a/iris/new")
    now = written(tmp_path, "runs/a/iris/new")
    os.utime(tmp_path / "runs/a/iris/old", (now - AGE - 1, now - AGE - 1))
    spaces = spaces_of(files)
    await Removal(files, book, Uses(files), Ages(AGE, age, AGE), spaces).runs(now)
    assert sorted([entry.path.rpartition("/")[2] async for entry in files.entries("runs")]) == left
    assert spaces.runs.kept == {"a": len(left) * SMALLEST}


async def test_rows_and_their_labels_are_forgotten(files: Files, book: LabelBook, tmp_path: Path) -> None:
    """After their time, and the labels also when no others come."""
    paths = [f"predictions/a/iris/{day}/rows.jsonl" for day in ("2026-01-01", "2026-01-02")]
    await put(files, *paths)
    now = written(tmp_path, paths[0])
    os.utime(tmp_path / paths[0], (now - AGE - 1, now - AGE - 1))
    labels = [
        Label(f"{number:016x}", f"{number:016x}", 0, "iris", "abc", "gateway", int(now - age), True, "rose")
        for number, age in ((1, AGE + 2), (2, AGE - DAY))
    ]
    book.count("a", labels, now - 10 * DAY)
    rows = [(label.prediction, 0) for label in labels]
    assert len(book.values("a", rows)) == 2
    spaces = spaces_of(files)
    await Removal(files, book, Uses(files), Ages(0, 0, AGE), spaces).predictions(now)
    assert [await files.size(path) for path in paths] == [None, 5]
    assert await files.folders("predictions/a/iris") == ["2026-01-02"]
    assert book.values("a", rows) == {rows[1]: '"rose"'}
    assert spaces.predictions.kept == {"a": SMALLEST}


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
