"""What each answer of a store means for the container that asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sluice_server.fetch import from_store
from sluice_server.fetch.outcome import Fetched, Outcome, Unavailable
from sluice_server.model import manifest
from sluice_server.model.digest import tree_digest
from sluice_server.model.manifest import FILES, Manifest, SignatureText
from sluice_server.settings import StoreSettings
from sluice_server.store import connections
from sluice_server.store.archive import packed
from sluice_server.store.client import StoreClient, StoreError
from sluice_server.store.steady import Steady

DIGEST = f"sha256:{'0' * 64}"


@dataclass
class Store:
    """A server that answers every request with the same, and notes what came."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    length: int | None = None  # that it claims
    first: list[int] = field(default_factory=list)  # statuses of the first answers
    drips_until: threading.Event | None = None  # a byte at a time, behind the body
    before_reading: Callable[[], object] = bool  # called before it reads a model
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)

    def settings(self, token_file: str = "/nowhere/token") -> StoreSettings:
        return StoreSettings(self.url, Path(token_file))


@pytest.fixture
def store() -> Iterator[Store]:
    with serving(Store()) as state:
        yield state


@contextmanager
def serving(state: Store) -> Iterator[Store]:

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            state.requests.append((self.command, self.path, self.headers["authorization"]))
            if self.command == "POST":
                self.rfile.read(int(self.headers["content-length"]))
            if self.command == "PUT":
                state.before_reading()
                while (size := int(self.rfile.readline(), 16)) > 0:
                    self.rfile.read(size + 2)
            self.send_response(state.first.pop(0) if state.first else state.status)
            self.send_header("content-length", str(len(state.body) if state.length is None else state.length))
            self.end_headers()
            self.wfile.write(state.body)
            while state.drips_until is not None and not state.drips_until.wait(0.02):
                self.wfile.write(b"x")

        do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815 - names of the standard library

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    folder = tmp_path / "prepared"
    (folder / FILES).mkdir(parents=True)
    (folder / FILES / "MLmodel").write_text("flavors: {}\n")
    found = Manifest("sha256:1", "skops", "sklearn", "model.skops", SignatureText("[]", None), {})
    manifest.write(found, folder)
    return folder


def copy(store: Store, folder: Path, digest: str = DIGEST) -> Outcome:
    folder.mkdir(exist_ok=True)
    return from_store.copy(folder, [store.settings()], digest)


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Unavailable), outcome
    return outcome.reason


def test_the_model_is_copied_and_nothing_else(store: Store, prepared: Path, tmp_path: Path) -> None:
    """Its folder has the digest that was asked for, and the manifest says what it is."""
    digest = tree_digest(prepared)
    store.body = b"".join(packed(prepared))
    outcome = copy(store, tmp_path / "model", digest)
    assert isinstance(outcome, Fetched)
    assert (outcome.digest, outcome.manifest.digest) == (digest, "sha256:1")
    assert tree_digest(tmp_path / "model") == digest
    assert store.requests == [("GET", f"/models/{digest}", None)]


def test_a_store_that_drips_is_one_that_does_not_answer(
    store: Store, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No single byte is late, and a pod would never start."""
    monkeypatch.setattr("sluice_server.store.client.Steady", partial(Steady, within=0.1))
    store.body, store.length, store.drips_until = b"".join(packed(prepared))[:100], 100_000, threading.Event()
    outcome = copy(store, tmp_path / "model")
    store.drips_until.set()
    assert isinstance(outcome, Unavailable)
    assert (outcome.reason, "less than 64 KiB have come" in outcome.message) == ("StoreUnreachable", True)


def test_another_model_is_not_served(store: Store, prepared: Path, tmp_path: Path) -> None:
    """What a store sends is believed only after its digest was computed here."""
    store.body = b"".join(packed(prepared))
    outcome = copy(store, tmp_path / "model")
    assert reason(outcome) == "StoreContentDamaged"
    assert tree_digest(prepared) in str(outcome)
    assert not (tmp_path / "model" / manifest.NAME).exists()


def test_a_folder_that_this_image_cannot_read_is_told(store: Store, tmp_path: Path) -> None:
    """The digest is right, and the manifest is another image's."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / manifest.NAME).write_text("{}")
    store.body = b"".join(packed(tmp_path / "old"))
    outcome = copy(store, tmp_path / "model", tree_digest(tmp_path / "old"))
    assert reason(outcome) == "StoreContentDamaged"
    assert "with this image" in str(outcome)


@pytest.mark.parametrize(("status", "there"), [(200, True), (404, False)])
def test_a_pod_asks_whether_a_model_is_there(store: Store, status: int, there: bool) -> None:
    """With a request that transfers nothing of it."""
    store.status = status
    assert StoreClient(store.settings()).has(DIGEST) is there
    assert store.requests == [("HEAD", f"/models/{DIGEST}", None)]


def test_another_answer_says_nothing_about_a_model(store: Store) -> None:
    """It is not lost because the token is wrong."""
    store.status = 401
    with pytest.raises(StoreError) as refused:
        StoreClient(store.settings()).has(DIGEST)
    assert refused.value.reason == "StoreLoginRefused"


@pytest.mark.parametrize(
    ("status", "body", "expected", "told"),
    [
        (401, b'{"detail": "this needs a token"}', "StoreLoginRefused", "this needs a token"),
        (403, b"", "StoreLoginRefused", "/nowhere/token"),
        (404, b'{"detail": "the store has no model"}', "NotInStore", "the store has no model"),
        (422, b"[1]", "StoreRefused", "[1]"),
        (429, b"", "StoreUnreachable", "answers 429"),
        (503, b"<html>overloaded</html>", "StoreUnreachable", "<html>overloaded</html>"),
        (507, b'{"detail": "it is full"}', "StoreUnreachable", "it is full"),
        (302, b"", "StoreUnreachable", "302"),
        (200, b"no tar", "StoreContentDamaged", "no archive"),
        (200, b"", "StoreContentDamaged", "no archive"),
    ],
)
def test_each_answer_has_its_reason(
    store: Store, status: int, body: bytes, expected: str, told: str, tmp_path: Path
) -> None:
    """With what the store said, so that nobody has to look into its log."""
    store.status, store.body = status, body
    outcome = copy(store, tmp_path / "model")
    assert reason(outcome) == expected
    assert told in str(outcome)


def test_an_answer_that_is_cut_is_no_model(store: Store, prepared: Path, tmp_path: Path) -> None:
    """The store was stopped while it sent; another try gets the rest."""
    store.body, store.length = b"".join(packed(prepared))[:600], 10_240
    assert reason(copy(store, tmp_path / "model", tree_digest(prepared))) in {"StoreUnreachable", "StoreContentDamaged"}


def test_no_answer_is_no_refusal(tmp_path: Path) -> None:
    """The model is not given up because a store is down."""
    assert reason(copy(Store("http://127.0.0.1:9"), tmp_path / "model")) == "StoreUnreachable"


def test_a_pod_gives_what_the_store_does_not(store: Store, prepared: Path, tmp_path: Path) -> None:
    """The store is down, or has lost the model; the files are checked as those of the store are."""
    digest = tree_digest(prepared)
    store.body = b"".join(packed(prepared))
    folder = tmp_path / "model"
    folder.mkdir()
    down = StoreSettings("http://127.0.0.1:9", Path("/nowhere/token"))
    assert isinstance(from_store.copy(folder, [down, store.settings()], digest), Fetched)
    assert tree_digest(folder) == digest


@pytest.mark.parametrize(
    ("answer", "body", "asked"),
    [
        (404, b"", ["GET", "PUT"]),
        (200, b"no archive", ["GET", "PUT"]),
        (503, b"", ["GET"]),
        (401, b"", ["GET"]),
    ],
)
@pytest.mark.parametrize("taken", [201, 503])
def test_a_store_that_lost_a_model_has_it_back(
    store: Store, prepared: Path, tmp_path: Path, answer: int, body: bytes, asked: list[str], taken: int
) -> None:
    """Before the last pod that has it is gone. The pod starts whether the store takes it or not."""
    digest, folder = tree_digest(prepared), tmp_path / "model"
    folder.mkdir()
    store.first, store.status, store.body = [answer], taken, body
    with serving(Store(body=b"".join(packed(prepared)))) as pod:
        outcome = from_store.copy(folder, [store.settings(), pod.settings()], digest)
    assert isinstance(outcome, Fetched)
    assert [(method, path) for method, path, _ in store.requests] == [(each, f"/models/{digest}") for each in asked]
    assert tree_digest(folder) == digest


def test_if_nobody_has_the_model_the_store_is_named_first(store: Store, tmp_path: Path) -> None:
    """Its reason is the one that somebody must mend; what the other said is behind it."""
    store.status, store.body = 404, b'{"detail": "this pod has another model"}'
    folder = tmp_path / "model"
    folder.mkdir()
    down = StoreSettings("http://127.0.0.1:9", Path("/nowhere/token"))
    outcome = from_store.copy(folder, [down, store.settings()], DIGEST)
    assert reason(outcome) == "StoreUnreachable"
    assert "this pod has another model" in str(outcome)


def refused(put: Callable[[], None]) -> StoreError:
    with pytest.raises(StoreError) as error:
        put()
    return error.value


def test_a_model_is_put_under_its_digest(store: Store, prepared: Path, tmp_path: Path) -> None:
    """With the token that the namespace has now; only 201 means that it is kept."""
    store.status, token = 201, tmp_path / "token"
    client = StoreClient(store.settings(str(token)))
    for value in ("models.abc", "models.xyz"):
        token.write_text(f"{value}\n")
        client.put(prepared, DIGEST)
        assert store.requests.pop() == ("PUT", f"/models/{DIGEST}", f"Bearer {value}")
    store.status = 200
    assert refused(lambda: StoreClient(store.settings()).put(prepared, DIGEST)).reason == "StoreUnreachable"


def test_a_store_may_take_a_model_slowly(store: Store, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes others first: that it does not read for longer than connecting may take is no failure."""
    monkeypatch.setattr(connections, "CONNECT", 0.05)
    store.status, store.before_reading = 201, lambda: threading.Event().wait(0.5)
    with (prepared / FILES / "large").open("wb") as file:
        file.truncate(2**24)  # bytes; more than the buffers of both sides take
    StoreClient(store.settings()).put(prepared, DIGEST)


def test_a_busy_store_gets_the_model_a_little_later(store: Store, prepared: Path) -> None:
    """The model is sent again, and not downloaded and converted again; each pause is longer."""
    pauses: list[float] = []
    store.first, store.status = [503, 503], 201
    StoreClient(store.settings()).keep(prepared, DIGEST, pauses.append)
    assert [method for method, _, _ in store.requests] == ["PUT"] * 3
    assert 2.5 <= pauses[0] <= 7.5
    assert 5 <= pauses[1] <= 15


def test_a_store_that_stays_busy_is_given_up(store: Store, prepared: Path) -> None:
    """After some minutes: the container fails, and the status has the words of the store."""
    pauses: list[float] = []
    store.status = 503
    error = refused(lambda: StoreClient(store.settings()).keep(prepared, DIGEST, pauses.append))
    assert error.reason == "StoreUnreachable"
    assert len(store.requests) == len(pauses) + 1
    assert 120 <= sum(pauses) <= 400


@pytest.mark.parametrize("status", [401, 413, 422, 500])
def test_what_will_not_pass_is_told_at_once(store: Store, prepared: Path, status: int) -> None:
    """Nobody waits for a store that refuses the model, or for one that is not there."""
    pauses: list[float] = []
    store.status = status
    for url in (store.url, "http://127.0.0.1:9"):
        refused(lambda url=url: StoreClient(StoreSettings(url, Path("/nowhere"))).keep(prepared, DIGEST, pauses.append))  # type: ignore[misc]
    assert (pauses, len(store.requests)) == ([], 1)


def test_a_token_is_not_told(store: Store, prepared: Path, tmp_path: Path) -> None:
    """Not even in the message that the store refuses it."""
    (tmp_path / "token").write_text("models.verysecret")
    store.status = 401
    error = refused(lambda: StoreClient(store.settings(str(tmp_path / "token"))).put(prepared, DIGEST))
    assert "verysecret" not in str(error)


def test_what_counts_no_labels_is_no_store(store: Store) -> None:
    """An answer that does not say which labels are new counts none."""
    store.body = b'{"new": [true, false]}'
    assert StoreClient(store.settings()).count_labels(b"{}") == [True, False]
    store.body = b'{"status": "fine"}'
    with pytest.raises(StoreError, match="no store that counts labels"):
        StoreClient(store.settings()).count_labels(b"{}")
