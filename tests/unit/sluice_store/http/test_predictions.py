"""Rows of predictions over a folder and SQLite: what is kept, who reads it, and with which labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.sluice_store.http.test_api import KEY, Limits, Stalled, bearer, client, label

pytestmark = pytest.mark.anyio
PATH = "/predictions/iris"


def row(prediction: int, at: int = 0, **fields: object) -> bytes:
    return json.dumps(
        {
            "prediction": f"{prediction:016x}",
            "row": at,
            "time": 1_800_000_000.5,
            "version": "3",
            "revision": "abc",
            "correlation_id": "order-1",
            "features": {"sepal length": 5.1, "name": None},
            "predicted": "setosa",
        }
        | fields
    ).encode()


async def post(store: httpx.AsyncClient, *rows: bytes, namespace: str = "models") -> httpx.Response:
    return await store.post(PATH, content=b"\n".join(rows) + b"\n", headers=bearer(namespace))


async def read(store: httpx.AsyncClient, namespace: str = "models") -> list[dict[str, Any]]:
    """All rows of all days, in no order."""
    days = (await store.get(PATH, headers=bearer(namespace))).json()["days"]
    answers = [await store.get(PATH, params={"day": day}, headers=bearer(namespace)) for day in days]
    assert all(answer.headers["content-type"] == "application/x-ndjson" for answer in answers)
    return [json.loads(line) for answer in answers for line in answer.text.splitlines()]


async def test_rows_are_read_as_they_were_sent(store: httpx.AsyncClient) -> None:
    """By the namespace that sent them, and no other one."""
    sent = [row(1), row(1, 1, predicted=[0.5, 1.5])]
    kept = await post(store, *sent)
    assert (kept.status_code, kept.json()) == (201, {"rows": 2})
    assert await read(store) == [json.loads(each) | {"label": None} for each in sent]
    assert await read(store, "other") == []
    assert (await store.get(PATH)).status_code == 401


async def test_a_row_gets_its_label_when_it_comes(store: httpx.AsyncClient) -> None:
    """Before the row or after it; the first one that counts, and only if a pod says what it was."""
    labels = [
        label(prediction=f"{1:016x}", value="rose"),
        label(prediction=f"{1:016x}", value="late"),
        label(prediction=f"{2:016x}", row=1, value=1.5),
        label(prediction=f"{3:016x}"),
    ]
    await store.post("/labels", json={"labels": labels[:1]}, headers=bearer("models"))
    await post(store, row(1), row(2), row(2, 1), row(3))
    await store.post("/labels", json={"labels": labels[1:]}, headers=bearer("models"))
    await store.post(
        "/labels", json={"labels": [label(prediction=f"{2:016x}", value="other's")]}, headers=bearer("other")
    )
    assert [each["label"] for each in await read(store)] == ["rose", None, 1.5, None]


async def test_the_same_rows_again_are_kept_once(store: httpx.AsyncClient) -> None:
    """The pod did not hear the answer."""
    for _ in range(2):
        assert (await post(store, row(1), row(2))).status_code == 201
    assert len(await read(store)) == 2


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (b"[1]\n", "a line does not fit"),
        (row(1) + b"\n{}\n", "a line does not fit"),
        (row(1, 64), "$.row"),
        (row(1, more=1), "more"),
        (row(1)[:-1], "a line does not fit"),
        (row(1, features={"text": "x" * 2**16}), "65536 is the limit"),
    ],
)
async def test_what_is_no_row_is_refused(store: httpx.AsyncClient, folder: Path, lines: bytes, told: str) -> None:
    """As a whole: whoever reads the rows later need not check them."""
    refused = await post(store, lines)
    assert refused.status_code == 422
    assert told in refused.json()["detail"]
    assert await read(store) == []


async def test_a_name_and_a_day_are_no_paths(store: httpx.AsyncClient) -> None:
    """Whatever is in them."""
    assert (await store.get("/predictions/..%2fother", headers=bearer("models"))).status_code in {404, 422}
    assert (await store.get(PATH, params={"day": "../iris"}, headers=bearer("models"))).status_code == 422
    none = await store.get(PATH, params={"day": "2026-01-31"}, headers=bearer("models"))
    assert (none.status_code, none.content) == (200, b"")


async def test_rows_of_a_namespace_have_a_limit(folder: Path) -> None:
    """With what to do; the rows of others are kept. A small file counts as 4 KiB."""
    async with client(folder, KEY, Limits(predictions=10_000)) as store:
        for number in (1, 2):
            assert (await post(store, row(number))).status_code == 201
        refused = await post(store, row(3, correlation_id="x" * 900), row(4, correlation_id="y" * 900))
        assert refused.status_code == 413
        assert "SLUICE_KEEP_PREDICTIONS" in refused.json()["detail"]
        assert (await post(store, row(3), namespace="other")).status_code == 201
        numbers = (await store.get("/metrics")).text
    assert 'sluice_store_kept_bytes{collection="predictions",namespace="models"} 8192.0' in numbers
    assert 'sluice_store_kept_limit_bytes{collection="predictions"} 10000.0' in numbers


async def test_files_that_cannot_be_written_are_told(folder: Path, store: httpx.AsyncClient) -> None:
    """The pod tries again later, and nothing counts as kept."""
    (folder / "predictions").write_text("in the way of a folder")
    assert (await post(store, row(1))).status_code == 503
    assert "sluice_store_kept_bytes{" not in (await store.get("/metrics")).text


async def test_rows_that_come_again_take_no_more_space(tmp_path: Path) -> None:
    """A pod sends them again when it did not hear the answer."""
    rows = [row(number, features={"text": "x" * 900}) for number in range(100)]
    async with client(tmp_path / "files", KEY, Limits(predictions=250_000)) as store:
        assert [(await post(store, *rows)).status_code for _ in range(5)] == [201] * 5
        assert (await post(store, *rows, row(100))).status_code == 201
        assert (await post(store, *rows, row(101))).status_code == 413


async def test_bytes_that_are_no_text_are_refused(store: httpx.AsyncClient) -> None:
    """Nobody could read them back."""
    assert (await post(store, row(1).replace(b"5.1", b'"\xff"'))).status_code == 422
    assert await read(store) == []


async def test_readers_that_do_not_read_leave_room_for_others(store: httpx.AsyncClient) -> None:
    """Each of them has a file in memory. A turn ends with its answer, also if the client has gone."""
    await post(store, row(1))
    (day,) = (await store.get(PATH, headers=bearer("models"))).json()["days"]
    stalled = Stalled(store, PATH, bearer("models"), f"day={day}".encode())
    await stalled.start(4)
    refused = await store.get(PATH, params={"day": day}, headers=bearer("models"))
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert (await store.get(PATH, params={"day": day}, headers=bearer("other"))).status_code == 200
    await stalled.leave()
    assert len(await read(store)) == 1
