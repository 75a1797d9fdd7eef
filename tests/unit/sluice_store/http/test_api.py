"""The API over a folder and SQLite: who may do what, and what each answer says."""

from __future__ import annotations

import asyncio
import hashlib
import io
import secrets
import tarfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.types import Message

from sluice_store import tokens
from sluice_store.files import Files
from sluice_store.http.access import Access
from sluice_store.http.app import Parts, build_app
from sluice_store.http.readers import AT_ONCE
from sluice_store.labels.label_book import PAGE, LabelBook
from sluice_store.labels.label_space import LABEL, TOTAL
from sluice_store.models.digest import File, tree_digest
from sluice_store.removal import Ages

pytestmark = pytest.mark.anyio
KEY = b"k" * 32
MAX_MODEL = 100_000
AGES = Ages(model=0, run=0, prediction=3_600)
HELLO = File(6, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")
DIGEST = tree_digest({"sluice.json": HELLO})


@dataclass(frozen=True)
class Limits:
    """Bytes of a namespace; 0 is no limit."""

    models: int = 0
    predictions: int = 0
    runs: int = 0
    labels: int = 0


def client(folder: Path, key: bytes | None, limits: Limits = Limits()) -> httpx.AsyncClient:
    book = LabelBook(f"sqlite:///{folder.parent}/labels.db", 60, limits.labels)
    of_files = limits.models, limits.predictions, limits.runs
    parts = Parts(Files(f"file://{folder}"), book, Access(key), MAX_MODEL, *of_files, AGES)
    return httpx.AsyncClient(transport=httpx.ASGITransport(build_app(parts)), base_url="http://store")


class Slow:
    """Models that are sent as far as `arrived` counts, and to their ends after `finish`."""

    def __init__(self) -> None:
        self.arrived, self.finish = asyncio.Semaphore(0), asyncio.Event()

    async def body(self) -> AsyncIterator[bytes]:
        yield archive()[:512]
        self.arrived.release()
        await self.finish.wait()
        yield archive()[512:]


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def bearer(namespace: str, key: bytes = KEY) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.make(key, namespace)}"}


def archive(content: bytes = b"hello\n") -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as archived:
        member = tarfile.TarInfo("sluice.json")
        member.size = len(content)
        archived.addfile(member, io.BytesIO(content))
    return written.getvalue()


def label(**fields: object) -> dict[str, object]:
    return {
        "prediction": "0123456789abcdef",
        "claim": secrets.token_hex(8),
        "row": 0,
        "model_deployment": "iris",
        "revision": "abc",
        "entry": "gateway",
        "issued": int(time.time()),
        "correct": True,
    } | fields


class Stalled:
    """Clients that ask for something and do not read it."""

    def __init__(self, store: httpx.AsyncClient, path: str, headers: dict[str, str], query: bytes = b"") -> None:
        transport = store._transport
        assert isinstance(transport, httpx.ASGITransport)
        self._app = transport.app
        head = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": head}
        self._answered = asyncio.Semaphore(0)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, number: int) -> None:
        """Returns when all of them have the beginning of their answer."""
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(number)]
        for _ in self._tasks:
            await self._answered.acquire()

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _ask(self) -> None:
        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            assert message["status"] == 200
            self._answered.release()
            await asyncio.Event().wait()

        await self._app(dict(self._scope), receive, send)


async def test_a_model_is_got_as_it_was_put(store: httpx.AsyncClient) -> None:
    """PUT, HEAD and GET of a digest; a second PUT is no conflict, and replaces what may have been damaged."""
    path = f"/models/{DIGEST}"
    for _ in range(2):
        assert (await store.put(path, content=archive(), headers=bearer("models"))).status_code == 201
    head = await store.head(path, headers=bearer("models"))
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(archive())))
    got = await store.get(path, headers=bearer("models"))
    assert (got.content, got.headers["content-type"]) == (archive(), "application/x-tar")


async def test_slow_models_of_one_namespace_leave_room_for_others(store: httpx.AsyncClient) -> None:
    """Whoever must wait is told at once, and not left with its body until it believes that nobody is there."""
    path, slow = f"/models/{DIGEST}", Slow()
    async with asyncio.TaskGroup() as tasks:
        four = [tasks.create_task(store.put(path, content=slow.body(), headers=bearer("greedy"))) for _ in range(4)]
        for _ in four:
            await slow.arrived.acquire()
        fifth = await store.put(path, content=archive(), headers=bearer("greedy"))
        other = await store.put(path, content=archive(), headers=bearer("models"))
        slow.finish.set()
    assert (fifth.status_code, fifth.headers["retry-after"]) == (503, "5")
    assert "send it again" in fifth.json()["detail"]
    assert other.status_code == 201
    assert [task.result().status_code for task in four] == [201] * 4
    assert (await store.put(path, content=archive(), headers=bearer("greedy"))).status_code == 201


async def test_a_namespace_gets_a_slot_that_another_one_has_several_of(store: httpx.AsyncClient) -> None:
    """Whoever has one of many is told to send it again, and the one without any need not wait until all are sent."""
    path, slow = f"/models/{DIGEST}", Slow()
    async with asyncio.TaskGroup() as tasks:
        sent = []
        for namespace in ("greedy",) * 4 + ("b",) * 2 + ("c", "d"):
            sent.append(tasks.create_task(store.put(path, content=slow.body(), headers=bearer(namespace))))
            await slow.arrived.acquire()
        late = await store.put(path, content=archive(), headers=bearer("late"))
        assert (late.status_code, late.headers["retry-after"]) == (503, "5")
        slow.finish.set()
    assert [task.result().status_code for task in sent] == [201, 201, 201, 503, 201, 201, 201, 201]
    assert "send it again" in sent[3].result().json()["detail"]
    assert (await store.put(path, content=archive(), headers=bearer("late"))).status_code == 201


async def test_a_namespace_has_a_limit(folder: Path) -> None:
    """Of all its models; what is there can be put again, and others are not concerned."""
    content = b"other\n"
    other = archive(content)
    path = f"/models/{tree_digest({'sluice.json': File(len(content), hashlib.sha256(content).hexdigest())})}"
    async with client(folder, KEY, Limits(models=len(archive()) + 100)) as store:
        for _ in range(2):
            assert (await store.put(f"/models/{DIGEST}", content=archive(), headers=bearer("full"))).status_code == 201
        refused = await store.put(path, content=other, headers=bearer("full"))
        assert refused.status_code == 413
        assert f"{len(archive())} bytes" in refused.json()["detail"]
        assert "SLUICE_STORE_MAX_NAMESPACE_BYTES" in refused.json()["detail"]
        assert (await store.put(path, content=other, headers=bearer("models"))).status_code == 201
    assert len(files_in(folder)) == 2


async def test_other_bytes_are_not_kept_under_a_digest(store: httpx.AsyncClient, folder: Path) -> None:
    """The answer names both digests, and nothing of the body is left."""
    refused = await store.put(f"/models/{DIGEST}", content=archive(b"other\n"), headers=bearer("models"))
    assert refused.status_code == 422
    assert DIGEST in refused.json()["detail"]
    assert files_in(folder) == []
    assert (await store.get(f"/models/{DIGEST}", headers=bearer("models"))).status_code == 404


async def test_a_refused_model_leaves_the_one_that_is_there(store: httpx.AsyncClient) -> None:
    """A client that was cut off, or sends something else, damages nothing."""
    await store.put(f"/models/{DIGEST}", content=archive(), headers=bearer("models"))
    for body in (archive(b"other\n"), archive()[:700], b"no tar"):
        assert (await store.put(f"/models/{DIGEST}", content=body, headers=bearer("models"))).status_code == 422
    assert (await store.get(f"/models/{DIGEST}", headers=bearer("models"))).content == archive()


async def test_what_a_killed_store_left_is_removed_when_it_starts(folder: Path) -> None:
    """A write that was cut takes no space for ever, and models that were kept stay."""
    async with client(folder, None) as store:
        await store.put(f"/models/{DIGEST}", content=archive())
    (kept,) = files_in(folder)
    (folder / "models" / "_shared" / f"{kept}#1").write_bytes(archive()[:700])
    async with client(folder, None) as store:
        assert (await store.get(f"/models/{DIGEST}")).content == archive()
    assert set(files_in(folder)) == {kept}


@pytest.mark.parametrize("digest", ["sha256:0", "0" * 64, "sha256:" + "G" * 64, "..%2f..%2fetc", "sha256:" + "0" * 65])
async def test_only_a_digest_is_an_address(store: httpx.AsyncClient, digest: str) -> None:
    """No other text becomes a path."""
    answer = await store.get(f"/models/{digest}", headers=bearer("models"))
    assert answer.status_code in {404, 422}
    assert "no model sha256" not in answer.text


async def test_a_model_has_a_limit(store: httpx.AsyncClient) -> None:
    """Whether the client tells its length or not."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield bytes(MAX_MODEL // 10)

    path = f"/models/{DIGEST}"
    told = await store.put(path, content=bytes(MAX_MODEL + 1), headers=bearer("models"))
    untold = await store.put(path, content=chunks(), headers=bearer("models"))
    assert told.status_code == 413
    assert untold.status_code == 413
    assert f"{MAX_MODEL} bytes" in told.json()["detail"]


async def test_a_model_is_removed(store: httpx.AsyncClient, folder: Path) -> None:
    """By its own namespace only; nothing is left of it, also not that it was used."""
    path = f"/models/{DIGEST}"
    await store.put(path, content=archive(), headers=bearer("models"))
    await store.get(path, headers=bearer("models"))
    assert (await store.delete(path, headers=bearer("other"))).status_code == 404
    assert (await store.delete(path, headers=bearer("models"))).status_code == 200
    assert (await store.delete(path, headers=bearer("models"))).status_code == 404
    assert (await store.get(path, headers=bearer("models"))).status_code == 404
    assert files_in(folder) == []


async def test_whoever_reads_a_model_uses_it(store: httpx.AsyncClient, folder: Path) -> None:
    """And so does a pod that asks whether it is there; asking for another one notes nothing."""
    for method in ("GET", "HEAD"):
        await store.put(f"/models/{DIGEST}", content=archive(), headers=bearer(method.lower()))
        await store.request(method, f"/models/{DIGEST}", headers=bearer(method.lower()))
        await store.request(method, f"/models/sha256:{'0' * 64}", headers=bearer(method.lower()))
    hexadecimal = DIGEST.removeprefix("sha256:")
    noted = sorted(str(path.relative_to(folder)) for path in (folder / "used").rglob("*.tar"))
    assert noted == [f"used/get/{hexadecimal}.tar", f"used/head/{hexadecimal}.tar"]


async def test_a_namespace_reads_only_its_own_models(store: httpx.AsyncClient) -> None:
    """Also if it knows the digest of another one's."""
    await store.put(f"/models/{DIGEST}", content=archive(), headers=bearer("team-a"))
    assert (await store.get(f"/models/{DIGEST}", headers=bearer("team-b"))).status_code == 404
    assert (await store.get(f"/models/{DIGEST}", headers=bearer("team-a"))).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", f"/models/{DIGEST}"),
        ("GET", f"/models/{DIGEST}"),
        ("HEAD", f"/models/{DIGEST}"),
        ("DELETE", f"/models/{DIGEST}"),
        ("POST", "/labels"),
        ("GET", "/labels"),
        ("POST", "/predictions/iris"),
        ("GET", "/predictions/iris"),
        ("PUT", "/runs/models/iris/r1"),
        ("GET", "/runs/models/iris/r1"),
        ("GET", "/runs/models/iris"),
    ],
)
async def test_nothing_is_read_or_written_without_a_token(store: httpx.AsyncClient, method: str, path: str) -> None:
    """Nor with one of another key, and the answer says how to get one."""
    for headers in ({}, {"Authorization": "Bearer models.0"}, bearer("models", b"x" * 32)):
        refused = await store.request(method, path, headers=headers)
        assert refused.status_code == 401
        assert method == "HEAD" or "python -m sluice_store token" in refused.json()["detail"]


async def test_an_open_store_needs_no_token(folder: Path) -> None:
    """As the setting says."""
    async with client(folder, None) as store:
        assert (await store.put(f"/models/{DIGEST}", content=archive())).status_code == 201
        assert (await store.get(f"/models/{DIGEST}")).content == archive()
        assert (await store.put("/runs/models/iris/r1", json={})).status_code == 201


async def test_labels_are_counted_once(store: httpx.AsyncClient) -> None:
    """A repeat is answered with 200 and counted apart."""
    first = await store.post("/labels", json={"labels": [label(), label(row=1)]}, headers=bearer("models"))
    again = await store.post("/labels", json={"labels": [label(), label(row=2)]}, headers=bearer("models"))
    assert (first.status_code, first.json()) == (200, {"new": [True, True], "repeats": 0, "expired": 0})
    assert (again.status_code, again.json()) == (200, {"new": [False, True], "repeats": 1, "expired": 0})
    totals = (await store.get("/labels", headers=bearer("models"))).json()["totals"]
    assert [(total["labels"], total["repeats"]) for total in totals] == [(3, 1)]
    assert (await store.get("/labels", headers=bearer("other"))).json() == {"totals": []}
    numbers = (await store.get("/metrics")).text
    assert 'sluice_store_labels_total{result="counted"} 3.0' in numbers
    assert 'sluice_store_labels_total{result="repeat"} 1.0' in numbers


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        (b"[1", 422, "the body does not fit"),
        (b"[" * 100_000, 422, "the body does not fit"),
        (b'{"labels": [{}]}', 422, "$.labels[0]"),
        (b'{"labels": [' + b"1," * 2000 + b"1]}", 422, "labels"),
        (b" " * 2**20, 413, "524288 bytes"),
    ],
)
async def test_a_bad_body_is_told(store: httpx.AsyncClient, body: bytes, code: int, told: str) -> None:
    """With its place or its limit."""
    refused = await store.post("/labels", content=body, headers=bearer("models"))
    assert refused.status_code == code
    assert told in refused.json()["detail"]


async def test_a_request_has_at_most_a_thousand_labels(store: httpx.AsyncClient) -> None:
    """The rest comes with the next request."""
    body = {"labels": [label(row=0, prediction=f"{number:016x}") for number in range(1001)]}
    refused = await store.post("/labels", json=body, headers=bearer("models"))
    assert refused.status_code == 422
    body["labels"].pop()
    assert (await store.post("/labels", json=body, headers=bearer("models"))).json()["new"] == [True] * 1000


async def test_run_records_are_the_operator_s(store: httpx.AsyncClient) -> None:
    """A namespace reads its own; nobody but the operator writes."""
    path, operator = "/runs/team-a/iris/iris-abc", bearer(tokens.EVERYWHERE)
    assert (await store.put(path, json={"verdict": "Pass"}, headers=bearer("team-a"))).status_code == 403
    assert (await store.put(path, json={"verdict": "Pass"}, headers=operator)).status_code == 201
    for reader in (operator, bearer("team-a")):
        assert (await store.get(path, headers=reader)).json() == {"verdict": "Pass"}
        assert (await store.get("/runs/team-a/iris", headers=reader)).json() == {"runs": ["iris-abc"]}
    assert (await store.get(path, headers=bearer("team-b"))).status_code == 403
    assert (await store.get("/runs/team-a/other", headers=operator)).json() == {"runs": []}
    assert (await store.get("/runs/team-a/iris/none", headers=operator)).status_code == 404
    assert (await store.put(path, content=b"{", headers=operator)).status_code == 422
    assert (await store.put("/runs/team-a/Iris/x", json={}, headers=operator)).status_code == 422


async def test_a_record_that_is_complete_is_not_replaced(store: httpx.AsyncClient) -> None:
    """Whoever may write ConfigMaps in a namespace could make one up. One without its counts is completed."""
    path, operator = "/runs/team-a/iris/iris-abc", bearer(tokens.EVERYWHERE)
    first, complete = {"immutable": False, "data": {}}, {"immutable": True, "data": {"outcome": "Rejected"}}
    for record in (first, complete, complete):
        assert (await store.put(path, json=record, headers=operator)).status_code == 201
    forged = await store.put(path, json=complete | {"data": {"outcome": "Promoted"}}, headers=operator)
    assert (forged.status_code, "is complete" in forged.json()["detail"]) == (409, True)
    assert (await store.get(path, headers=operator)).json() == complete


async def test_records_of_runs_have_a_limit(folder: Path) -> None:
    """By namespace and with what to do. One that is there can still be completed, if it does not grow."""
    path, operator = "/runs/team-a/iris", bearer(tokens.EVERYWHERE)
    async with client(folder, KEY, Limits(runs=2 * 4_096)) as store:
        for run in ("first", "second"):
            assert (await store.put(f"{path}/{run}", json={}, headers=operator)).status_code == 201
        refused = await store.put(f"{path}/third", json={}, headers=operator)
        assert refused.status_code == 413
        assert "SLUICE_STORE_MAX_RUN_BYTES" in refused.json()["detail"]
        assert (await store.put(f"{path}/first", json={"immutable": True}, headers=operator)).status_code == 201
        assert (await store.put("/runs/team-b/iris/first", json={}, headers=operator)).status_code == 201
        assert (await store.get(path, headers=operator)).json() == {"runs": ["first", "second"]}
        numbers = (await store.get("/metrics")).text
    assert 'sluice_store_kept_bytes{collection="runs",namespace="team-a"} 8192.0' in numbers
    assert 'sluice_store_kept_limit_bytes{collection="runs"} 8192.0' in numbers


async def test_labels_have_a_limit(folder: Path) -> None:
    """507 with what to do: the pod keeps them. Whoever asks again for labels that were counted has its answer."""
    async with client(folder, KEY, Limits(labels=LABEL + TOTAL)) as store:
        first = {"labels": [label()]}
        for _ in range(2):
            counted = await store.post("/labels", json=first, headers=bearer("full"))
            assert (counted.status_code, counted.json()["new"]) == (200, [True])
        refused = await store.post("/labels", json={"labels": [label(row=1)]}, headers=bearer("full"))
        assert refused.status_code == 507
        assert f"{LABEL + TOTAL} bytes of labels" in refused.json()["detail"]
        assert "SLUICE_STORE_MAX_LABEL_BYTES" in refused.json()["detail"]
        assert (await store.post("/labels", json=first, headers=bearer("models"))).json()["new"] == [True]
        numbers = (await store.get("/metrics")).text
    assert f'sluice_store_kept_bytes{{collection="labels",namespace="full"}} {LABEL + TOTAL}.0' in numbers
    assert f'sluice_store_kept_limit_bytes{{collection="labels"}} {LABEL + TOTAL}.0' in numbers


async def test_all_totals_are_told(store: httpx.AsyncClient) -> None:
    """However many they are: they are read in parts."""
    names = [f"iris-{number:04}" for number in range(PAGE + 1)]
    for start in range(0, len(names), 1_000):
        labels = [
            label(prediction=f"{number:016x}", model_deployment=name)
            for number, name in enumerate(names[start : start + 1_000], start)
        ]
        assert (await store.post("/labels", json={"labels": labels}, headers=bearer("models"))).status_code == 200
    answer = await store.get("/labels", headers=bearer("models"))
    assert answer.headers["content-type"] == "application/json"
    assert [total["model_deployment"] for total in answer.json()["totals"]] == names
    assert (await store.get("/labels", headers=bearer("none"))).json() == {"totals": []}


async def test_the_operator_s_token_is_for_no_models(store: httpx.AsyncClient) -> None:
    """They belong to a namespace."""
    refused = await store.put(f"/models/{DIGEST}", content=archive(), headers=bearer(tokens.EVERYWHERE))
    assert refused.status_code == 403
    assert "belong to a namespace" in refused.json()["detail"]


async def test_what_is_behind_the_store_is_told(folder: Path, tmp_path: Path) -> None:
    """A database that is gone is a 503 with its words, while models are served and the pod stays ready."""
    book = LabelBook(f"sqlite:///{tmp_path}/none/x.db", 60)
    parts = Parts(Files(f"file://{folder}"), book, Access(None), MAX_MODEL, 0, 0, 0, AGES)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build_app(parts)), base_url="http://store") as store:
        failed = await store.post("/labels", json={"labels": [label()]})
        assert (failed.status_code, failed.headers["retry-after"]) == (503, "5")
        assert "unable to open database file" in failed.json()["detail"]
        assert (await store.put(f"/models/{DIGEST}", content=archive())).status_code == 201
        assert (await store.get("/health/ready")).status_code == 200
        health = await store.get("/health")
        assert (health.status_code, health.json()["files"]) == (503, "ok")
        numbers = (await store.get("/metrics")).text
        assert 'sluice_store_requests_total{collection="labels",method="POST",result="failed"} 1.0' in numbers
        assert 'sluice_store_requests_total{collection="models",method="PUT",result="ok"} 1.0' in numbers


async def test_files_that_cannot_be_written_are_told(folder: Path) -> None:
    """With the words of the file system, and nothing is believed to be kept."""
    async with client(folder, None) as store:
        (folder / "models").write_text("in the way of a folder")
        failed = await store.put(f"/models/{DIGEST}", content=archive())
        assert failed.status_code == 503
        assert "the files of the store cannot be reached" in failed.json()["detail"]


async def test_a_request_for_no_path_is_no_failure(store: httpx.AsyncClient) -> None:
    """`OPTIONS *` asks about the whole server."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    transport = store._transport
    assert isinstance(transport, httpx.ASGITransport)
    scope = {"type": "http", "method": "OPTIONS", "path": "*", "raw_path": b"*", "query_string": b"", "headers": []}
    await transport.app(scope, receive, send)
    assert sent[0]["status"] < 500


@pytest.mark.parametrize("path", [f"/models/{DIGEST}", "/runs/models/iris/first", "/labels"])
async def test_answers_that_nobody_reads_leave_room_for_others(store: httpx.AsyncClient, path: str) -> None:
    """Of the models, the records and the totals that other namespaces read. A turn ends with its answer."""
    await store.put(f"/models/{DIGEST}", content=archive(), headers=bearer("models"))
    await store.put("/runs/models/iris/first", json={}, headers=bearer(tokens.EVERYWHERE))
    stalled = Stalled(store, path, bearer("models"))
    await stalled.start(AT_ONCE // 2)
    assert (await store.get(path, headers=bearer("models"))).status_code == 503
    other = await store.get(path.replace("/models/iris", "/other/iris"), headers=bearer("other"))
    assert other.status_code in {200, 404}
    await stalled.leave()
    for _ in range(AT_ONCE // 2 + 1):
        assert (await store.get(path, headers=bearer("models"))).status_code == 200
