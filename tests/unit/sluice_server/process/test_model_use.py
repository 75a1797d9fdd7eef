"""What a pod tells the store of the model that it serves, and what the store gets back."""

from __future__ import annotations

import threading
from pathlib import Path

from sluice_server.model.digest import tree_digest
from sluice_server.process.model_use import DAILY, RETRY, ModelUse
from sluice_server.store.client import StoreError


class Store:
    """A store in memory, which can be down."""

    def __init__(self, *digests: str) -> None:
        self.up = True
        self.digests = set(digests)
        self.asked: list[str] = []

    def has(self, digest: str) -> bool:
        if not self.up:
            raise StoreError("StoreUnreachable", "no answer")
        self.asked.append(digest)
        return digest in self.digests

    def put(self, folder: Path, digest: str) -> None:
        assert folder.is_dir()
        self.digests.add(digest)


def test_each_day_the_store_hears_which_model_is_served(tmp_path: Path) -> None:
    """With the digest of the folder, by a thread that no request waits for."""
    (tmp_path / "sluice.json").write_text("{}")
    store, waits, day_is_over = Store(tree_digest(tmp_path)), list[float](), threading.Event()

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            day_is_over.set()
            threading.Event().wait()

    ModelUse(store, tmp_path, lambda: 1.0).start(wait)
    assert day_is_over.wait(60)
    assert waits[1:] == [DAILY, DAILY]
    assert store.asked == [tree_digest(tmp_path)] * 2


def test_a_model_that_the_store_lost_comes_back(tmp_path: Path) -> None:
    """It may be the last copy."""
    store = Store("sha256:1")
    use = ModelUse(store, tmp_path)
    use.tell("sha256:1")
    store.digests.clear()
    use.tell("sha256:1")
    assert store.digests == {"sha256:1"}


def test_a_model_that_was_never_there_is_not_put(tmp_path: Path) -> None:
    """A pod that fetched it from MLflow has its labels counted in a store, and no more."""
    store = Store()
    use = ModelUse(store, tmp_path)
    for _ in range(2):
        assert use.tell("sha256:1") <= DAILY
    assert store.digests == set()


def test_a_store_that_is_down_is_told_later(tmp_path: Path) -> None:
    """Soon, and not a day later."""
    store = Store("sha256:1")
    use = ModelUse(store, tmp_path)
    store.up = False
    assert use.tell("sha256:1") == RETRY
    store.up = True
    assert DAILY / 2 <= use.tell("sha256:1") <= DAILY
