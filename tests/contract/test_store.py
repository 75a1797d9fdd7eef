"""The store as a process, over a volume with SQLite and over S3 with PostgreSQL, asked by the model server's client."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import httpx
import msgspec
import numpy as np
import pytest

from dev import object_store as object_stores
from dev.object_store import ObjectStore
from dev.processes import free_ports, running
from sluice_operator.cli import run_sources
from sluice_operator.controller.archive import summary
from sluice_operator.controller.sending import document
from sluice_operator.http_client import HttpClient
from sluice_operator.manifests import builders
from sluice_operator.records import run_record
from sluice_operator.run_store import RunStore
from sluice_server.http.dialects import CODES
from sluice_server.inference.kept_rows import KeptRows
from sluice_server.inference.labels import Outcome, RowLabel
from sluice_server.inference.metrics import Metrics
from sluice_server.inference.prediction import Prediction
from sluice_server.model.digest import tree_digest
from sluice_server.model.identity import Identity
from sluice_server.process.store_labels import StoreLabels
from sluice_server.runtimes.output import Output
from sluice_server.settings import StoreSettings
from sluice_server.store.archive import packed
from sluice_server.store.client import StoreClient, StoreError
from sluice_store import tokens
from sluice_store.files import Files
from sluice_store.labels.label_book import LabelBook
from sluice_store.labels.label_space import LABEL, TOTAL
from sluice_store.models.archive import ArchiveReader
from sluice_store.models.expiry import GRACE
from sluice_store.removal import Ages, Removal
from sluice_store.settings import SHORTEST_AGE
from sluice_store.space import Space, Spaces
from sluice_store.uses import Uses
from tests.unit.sluice_operator.build import OWNER
from tests.unit.sluice_operator.recorded import a_run, recorded, ticks

KEY = "a key of at least sixteen bytes"
TOKEN = tokens.make(KEY.encode(), "models")
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PATIENCE = 60.0
COLLECTIONS = ("models", "predictions", "runs")


def wait_for(url: str, log: Path) -> None:
    """Waits until something answers there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            httpx.get(url)
            return
        except httpx.TransportError:
            assert time.monotonic() < deadline, f"nothing at {url}: {log.read_text()}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An object store with the bucket `sluice`."""
    with object_stores.running(tmp_path_factory.mktemp("s3"), ["sluice"]) as server:
        yield server


@pytest.fixture(scope="module")
def bucket(object_store: ObjectStore) -> Mapping[str, str]:
    """Variables for a bucket of an object store."""
    return object_store.variables | {"SLUICE_STORE_FILES_URL": "s3://sluice/kept"}


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The address of an empty database. PostgreSQL does not run as root, so its folder is nobody's."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    postgres = str(programs[-1]) if programs else shutil.which("postgres")
    if postgres is None:
        pytest.fail("PostgreSQL is missing: apt-get install postgresql, or have `postgres` in PATH", pytrace=False)
    initdb = str(Path(postgres).with_name("initdb"))
    folder = Path(tempfile.mkdtemp(prefix="sluice-postgresql-"))
    prefix = []
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
        prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    (port,) = free_ports(1)
    data = f"--pgdata={folder}/data"
    try:
        make = [*prefix, initdb, data, "--auth=trust", "--username=sluice", "--no-sync", "--locale=C"]
        subprocess.run(make, check=True, capture_output=True, cwd=folder)
        serve = [*prefix, postgres, "-D", f"{folder}/data", "-p", str(port), "-h", "127.0.0.1", "-k", "", "-F"]
        with running(serve, folder / "log"):
            yield f"postgresql://sluice@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Store:
    """How to start a store, and where it then is."""

    url: str
    folder: Path
    env: Mapping[str, str]

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[bytes]]:
        """The process, once it answers."""
        command = [sys.executable, "-m", "sluice_store", "serve"]
        with running(command, self.folder / "log", os.environ | self.env) as process:
            wait_for(f"{self.url}/health/live", self.folder / "log")
            yield process

    @property
    def client(self) -> StoreClient:
        return StoreClient(StoreSettings(self.url, self.folder / "token"))


def over(tmp_path: Path, env: Mapping[str, str] = MappingProxyType({})) -> Store:
    """A store over a volume and SQLite, where `env` does not say otherwise."""
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "token").write_text(TOKEN)
    (port,) = free_ports(1)
    own = {
        "SLUICE_STORE_HOST": "127.0.0.1",
        "SLUICE_STORE_PORT": str(port),
        "SLUICE_STORE_KEY_FILE": str(tmp_path / "key"),
        "SLUICE_STORE_FILES_URL": f"file://{tmp_path}/files",
        "SLUICE_STORE_DATABASE_URL": f"sqlite:///{tmp_path}/labels.db",
    }
    return Store(f"http://127.0.0.1:{port}", tmp_path, {**own, **env})


@pytest.fixture(params=["volume and SQLite", "S3 and PostgreSQL"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "volume and SQLite":
        return over(tmp_path)
    database = {"SLUICE_STORE_DATABASE_URL": request.getfixturevalue("postgresql")}
    return over(tmp_path, request.getfixturevalue("bucket") | database)


def folder_of_a_model(folder: Path, megabytes: int) -> Path:
    """Some files, the largest of which takes several parts of an upload."""
    (folder / "files" / "sub").mkdir(parents=True)
    (folder / "files" / "sub" / "größe").write_bytes(b"")
    (folder / "files" / "model.skops").write_bytes(os.urandom(2**20) * megabytes)
    (folder / "sluice.json").write_text("{}")
    return folder


def test_both_sides_mean_the_same_digest(tmp_path: Path) -> None:
    """The server computes it over a folder, the store over an archive, and neither has the other's code."""
    model = folder_of_a_model(tmp_path / "model", 1)
    reader = ArchiveReader()
    for chunk in packed(model):
        reader.feed(chunk)
    assert reader.digest() == tree_digest(model)


def test_a_model_outlives_the_store_s_process(store: Store, tmp_path: Path) -> None:
    """What was answered with 201 is there after a restart, byte for byte; what was refused is not."""
    model = folder_of_a_model(tmp_path / "model", 20)
    digest = tree_digest(model)
    with store.started() as process:
        store.client.put(model, digest)
        other = httpx.put(f"{store.url}/models/sha256:{'0' * 64}", content=b"".join(packed(model)), headers=BEARER)
        assert other.status_code == 422
        process.kill()
    with store.started():
        store.client.get(digest, tmp_path / "copy")
        assert tree_digest(tmp_path / "copy") == digest
        assert httpx.head(f"{store.url}/models/sha256:{'0' * 64}", headers=BEARER).status_code == 404


@pytest.mark.parametrize("store", ["volume and SQLite"], indirect=True)
def test_a_model_that_is_refused_early_is_told_why(store: Store, tmp_path: Path) -> None:
    """Although its client sends all of it first, and the store has answered long before."""
    model = folder_of_a_model(tmp_path / "model", 40)
    limited = replace(store, env={**store.env, "SLUICE_STORE_MAX_MODEL_BYTES": str(2**20)})
    with limited.started():
        with pytest.raises(StoreError, match=f"larger than {2**20} bytes") as refused:
            store.client.put(model, tree_digest(model))
        assert refused.value.reason == "StoreRefused"
        (tmp_path / "token").write_text("models.x")
        with pytest.raises(StoreError, match="answers 401") as refused:
            store.client.put(model, tree_digest(model))
        assert refused.value.reason == "StoreLoginRefused"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            {"SLUICE_STORE_FILES_URL": "s3://nobody/kept"},
            "NoSuchBucket, The specified bucket does not exist: create",
        ),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch, The request signature we calculated does not"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "No user exists with the provided access key ID"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "error sending request"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_no_missing_model(
    wrong: dict[str, str], words: str, bucket: Mapping[str, str], tmp_path: Path
) -> None:
    """Each request says why, and so does the health: an object store answers 404 for all that is in no bucket."""
    store = over(tmp_path, {**bucket, **wrong})
    with store.started():
        health = httpx.get(f"{store.url}/health", timeout=PATIENCE)
        model = httpx.get(f"{store.url}/models/sha256:{'0' * 64}", headers=BEARER, timeout=PATIENCE)
    assert (health.status_code, model.status_code) == (503, 503)
    assert words in health.json()["files"]
    assert words in model.json()["detail"]


def test_models_are_served_when_the_object_store_is_back(tmp_path: Path) -> None:
    """Nothing is lost, and nothing is read from before, while it is away."""
    model = folder_of_a_model(tmp_path / "model", 1)
    digest, folder = tree_digest(model), tmp_path / "s3"
    folder.mkdir()
    with ExitStack() as stack:
        with object_stores.running(folder, ["sluice"]) as server:
            store = over(tmp_path, server.variables | {"SLUICE_STORE_FILES_URL": "s3://sluice/kept"})
            stack.enter_context(store.started())
            store.client.put(model, digest)
        away = httpx.get(f"{store.url}/models/{digest}", headers=BEARER, timeout=PATIENCE)
        assert away.status_code == 503
        with object_stores.running(folder, [], port=server.port):
            store.client.get(digest, tmp_path / "copy")
    assert tree_digest(tmp_path / "copy") == digest


def path_of(model: Path) -> str:
    return f"{tree_digest(model).removeprefix('sha256:')}.tar"


def test_models_that_nobody_uses_are_removed(store: Store, tmp_path: Path) -> None:
    """A use is noted in the volume or the bucket, and read there by another process, as the last one was killed."""
    used, old = (folder_of_a_model(tmp_path / name, 1) for name in ("used", "old"))
    with store.started():
        for model in (used, old):
            store.client.put(model, tree_digest(model))
        assert store.client.has(tree_digest(used))

    async def remove() -> None:
        files, model = Files(store.env["SLUICE_STORE_FILES_URL"]), f"models/{path_of(used)}"
        written = {entry.path: entry.written async for entry in files.entries("models/models")}
        assert model in await Uses(files).last()
        while (noted := (await Uses(files).last())[model]) <= max(written.values()):  # by a clock of whole seconds
            await Uses(files).note(model)
        book, spaces = LabelBook(f"sqlite:///{tmp_path}/none.db", 60), (Space(files, each, 0) for each in COLLECTIONS)
        removal = Removal(files, book, Uses(files), Ages(SHORTEST_AGE, 0, SHORTEST_AGE), Spaces(*spaces))
        for uptime in (0.0, GRACE):
            await removal.models(noted + SHORTEST_AGE, uptime)

    with pytest.MonkeyPatch.context() as environment:
        for name, value in store.env.items():
            environment.setenv(name, value)
        asyncio.run(remove())
    with store.started():
        assert store.client.has(tree_digest(used))
        assert not store.client.has(tree_digest(old))
        assert httpx.delete(f"{store.url}/models/{tree_digest(used)}", headers=BEARER).status_code == 200
        assert not store.client.has(tree_digest(used))


def test_rows_of_predictions_come_back_with_their_labels(store: Store) -> None:
    """As a pod sends both, also after a restart in between; a request that comes again changes nothing."""
    name = f"iris-{secrets.token_hex(4)}"  # the bucket has the rows of other tests
    metrics = Metrics(Identity("iris", "3", "abcdefghij", "models:/iris/3"), CODES)
    rows = KeptRows(Identity("iris", "3", "abcdefghij", "models:/iris/3"), ("a", "b"), ("b",))
    request = secrets.token_bytes(8)
    predicted = Prediction(Output(np.array([0, 1]), None, None), [0, 1], "id", request.hex())
    labels = [RowLabel(request, at, "abcdefghij", "cluster", int(time.time()), True, at + 1) for at in (0, 1)]
    lines = rows.lines(np.array([[1.5, 2.0], [2.5, 3.0]]), predicted, ("rose", "tulip"), 1_800_000_000.0)

    async def pod(label: RowLabel) -> None:
        counter = StoreLabels(store.client.count_labels, name, metrics, patience=PATIENCE)
        assert await counter.count([label]) == [Outcome.COUNTED]

    with store.started():
        asyncio.run(pod(labels[0]))
        for _ in range(2):
            store.client.keep_predictions(name, b"\n".join(lines))
    with store.started():
        asyncio.run(pod(labels[1]))
        url = f"{store.url}/predictions/{name}"
        days = httpx.get(url, headers=BEARER).json()["days"]
        answers = [httpx.get(url, params={"day": day}, headers=BEARER).text for day in days]
    kept = [json.loads(line) for answer in answers for line in answer.splitlines()]
    found = [(each["features"], each["predicted"], each["label"]) for each in kept]
    assert found == [({"a": 1.5}, "rose", 1), ({"a": 2.5}, "tulip", 2)]


def test_run_records_are_kept(store: Store) -> None:
    """And listed by the object that they belong to."""
    operator = {"Authorization": f"Bearer {tokens.make(KEY.encode(), tokens.EVERYWHERE)}"}
    with store.started():
        assert httpx.put(f"{store.url}/runs/models/iris/r1", json={"run": 1}, headers=operator).status_code == 201
        assert httpx.get(f"{store.url}/runs/models/iris/r1", headers=BEARER).json() == {"run": 1}
        assert httpx.get(f"{store.url}/runs/models/iris", headers=BEARER).json() == {"runs": ["r1"]}


def test_a_run_can_be_judged_again_from_what_the_operator_has_sent(store: Store, tmp_path: Path) -> None:
    """Whoever has the token of the namespace reads the record, and replays it as a file."""
    run = a_run()
    record = recorded(run, ticks(run, bad=0.001))
    sent = document(builders.run_record(OWNER, run.id, summary(run), run_record.encoded(record)))

    async def send() -> None:
        async with HttpClient("store") as http:
            await RunStore(http, store.url, KEY).put("models", "iris", run.id, msgspec.json.encode(sent))

    with store.started():
        asyncio.run(send())
        answer = httpx.get(f"{store.url}/runs/models/iris/{run.id}", headers=BEARER)
        (tmp_path / "run.json").write_bytes(answer.content)
    assert run_sources.of_file(str(tmp_path / "run.json")) == record


def test_labels_of_the_model_server_are_counted(store: Store) -> None:
    """What one pod has counted is a repeat for all others, and for itself."""
    label = RowLabel(b"12345678", 63, "abcdefghij", "cluster", int(time.time()), True)

    async def counted() -> list[Outcome]:
        metrics = Metrics(Identity("iris", "3", "abcdefghij", "models:/iris/3"), CODES)
        pod = StoreLabels(store.client.count_labels, "iris", metrics, patience=PATIENCE)
        return [outcome for _ in range(2) for outcome in await pod.count([label])]

    with store.started():
        assert asyncio.run(counted()) == [Outcome.COUNTED, Outcome.REPEAT]
        assert asyncio.run(counted()) == [Outcome.REPEAT, Outcome.REPEAT]


def labels(start: int, number: int) -> dict[str, object]:
    """A request of labels for that many predictions, every second of which was right."""
    one = {"row": 0, "model_deployment": "iris", "revision": "abc", "entry": "gateway", "issued": int(time.time())}
    claim = secrets.token_hex(8)
    return {
        "labels": [
            one | {"prediction": f"{at:016x}", "claim": claim, "correct": at % 2 == 0}
            for at in range(start, start + number)
        ]
    }


def test_a_namespace_that_is_full_of_labels_is_told(store: Store) -> None:
    """Also after a restart, when the store counts them. What was counted is known, and other namespaces go on."""
    full, other = ({"Authorization": f"Bearer {tokens.make(KEY.encode(), name)}"} for name in ("full", "other"))
    limited = replace(store, env={**store.env, "SLUICE_STORE_MAX_LABEL_BYTES": str(100 * LABEL + TOTAL)})
    first = labels(0, 100)
    with limited.started(), httpx.Client(base_url=store.url, headers=full) as client:
        assert client.post("/labels", json=first).json()["new"] == [True] * 100
        assert client.post("/labels", json=labels(50, 51)).status_code == 507
    with limited.started(), httpx.Client(base_url=store.url, headers=full) as client:
        kept = f'sluice_store_kept_bytes{{collection="labels",namespace="full"}} {100 * LABEL + TOTAL}.0'
        deadline = time.monotonic() + PATIENCE
        while kept not in client.get("/metrics").text:
            assert time.monotonic() < deadline, (store.folder / "log").read_text()
            time.sleep(0.05)
        assert client.post("/labels", json=labels(100, 1)).status_code == 507
        assert client.post("/labels", json=first).json()["new"] == [True] * 100
        assert client.get("/labels").json()["totals"][0]["labels"] == 100
        assert httpx.post(f"{store.url}/labels", json=labels(0, 1), headers=other).json()["new"] == [True]


def resident(process: subprocess.Popen[bytes]) -> int:
    """Its memory, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@pytest.mark.parametrize("store", ["volume and SQLite"], indirect=True)
def test_clients_that_send_a_part_and_wait_take_little_memory(store: Store) -> None:
    """Half bodies with a token and half heads without one, 150 MB together; another namespace is answered."""
    body = b"x" * (2**21 - 1)
    head = f"POST /predictions/iris HTTP/1.1\r\nhost: store\r\nauthorization: {BEARER['Authorization']}\r\n"
    other = {"Authorization": f"Bearer {tokens.make(KEY.encode(), 'other')}"}
    row = {"prediction": "0" * 16, "row": 0, "time": 1.0, "version": "3", "revision": "abc", "correlation_id": "x"}
    with store.started() as process, ExitStack() as clients:
        before = resident(process)
        for sent in [f"{head}content-length: {2**21}\r\n\r\n".encode() + body] * 70 + [b"GET / HTTP/1.1\r\n" + body]:
            address = store.url.removeprefix("http://").split(":")
            client = clients.enter_context(socket.create_connection((address[0], int(address[1]))))
            with suppress(ConnectionError):
                client.sendall(sent)
        kept = httpx.post(
            f"{store.url}/predictions/iris", content=json.dumps(row | {"features": {}, "predicted": 0}), headers=other
        )
        assert kept.status_code == 201
        assert resident(process) - before < 2**26


class Senders:
    """Clients that send labels until each of their requests was answered, and add up what is new, as pods do."""

    def __init__(self, store: Store, starts: list[int], size: int) -> None:
        self._store, self._left, self._size = store, list(starts), size
        self.answered = self.new = 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send) for _ in range(4)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        with httpx.Client(headers=BEARER, timeout=30) as client:
            while self._left:
                body = labels(self._left.pop(), self._size)
                while (answer := self._asked(client, body)) is None:
                    time.sleep(0.05)
                with self._lock:
                    self.answered, self.new = self.answered + 1, self.new + sum(answer)

    def _asked(self, client: httpx.Client, body: dict[str, object]) -> list[bool] | None:
        try:
            response = client.post(f"{self._store.url}/labels", json=body)
        except httpx.TransportError:
            return None
        return list(response.json()["new"]) if response.status_code == 200 else None


def test_each_label_counts_once_whatever_dies(store: Store) -> None:
    """10,000 labels, 3,000 of them repeats, by four clients at once; the store is killed in the middle."""
    size, new = 100, 7_000
    starts = [*range(0, new, size), *range(50, 3_050, size)]  # a repeat begins in the middle of another request
    senders = Senders(store, starts, size)
    with store.started() as process:
        senders.start()
        deadline = time.monotonic() + PATIENCE
        while senders.answered < len(starts) // 3:
            assert time.monotonic() < deadline, (store.folder / "log").read_text()
            time.sleep(0.01)
        process.kill()
    with store.started():
        senders.join()
        totals = httpx.get(f"{store.url}/labels", headers=BEARER).json()["totals"]
    (total,) = (each for each in totals if each["revision"] == "abc")  # the database may have those of other tests
    assert (total["labels"], total["correct"]) == (new, new // 2)
    assert senders.new == new  # also those whose first answer nobody heard
    assert total["repeats"] >= 3_000
