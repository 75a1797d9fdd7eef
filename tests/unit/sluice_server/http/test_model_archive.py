"""A pod that gives its model to another one: the same files, to whoever has its token, inside of the cluster."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sluice_server.model.digest import tree_digest
from sluice_server.settings import StoreSettings
from sluice_server.store.archive import unpack

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Client, Start

TOKEN = {"Authorization": "Bearer models.abc"}


@pytest.fixture
def digest(model_dir: Path) -> str:
    return tree_digest(model_dir)


@pytest.fixture
def pod(start: Start, tmp_path: Path) -> Client:
    (tmp_path / "token").write_text("models.abc\n")
    return start(store=StoreSettings("http://store", tmp_path / "token"))


def test_another_pod_gets_the_same_folder(pod: Client, digest: str, tmp_path: Path) -> None:
    """Byte for byte, and again for the next one."""
    for folder in (tmp_path / "one", tmp_path / "two"):
        answer = pod.get(f"/models/{digest}", "cluster", headers=TOKEN)
        assert answer.status_code == 200
        unpack(io.BytesIO(answer.content), folder)
        assert tree_digest(folder) == digest


def test_a_model_leaves_the_cluster_through_no_gateway(pod: Client, digest: str) -> None:
    """Not even with the token."""
    answer = pod.get(f"/models/{digest}", "gateway", headers=TOKEN)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer models.xyz"}, {"Authorization": "models.abc"}])
def test_a_model_is_given_to_nobody_without_the_token(pod: Client, digest: str, headers: dict[str, str]) -> None:
    """The answer does not depend on the digest: nobody learns what this pod has."""
    for asked in (digest, f"sha256:{'0' * 64}"):
        assert pod.get(f"/models/{asked}", "cluster", headers=headers).status_code == 401


@pytest.mark.parametrize("left", [None, "", "\n"])
def test_nobody_gets_the_model_while_the_token_is_gone(
    pod: Client, digest: str, tmp_path: Path, left: str | None
) -> None:
    """The Secret is deleted when the key of the store changes, and made anew up to an hour later."""
    (tmp_path / "token").unlink()
    if left is not None:
        (tmp_path / "token").write_text(left)
    for headers in ({}, TOKEN, {"Authorization": "Bearer "}):
        assert pod.get(f"/models/{digest}", "cluster", headers=headers).status_code == 401
    (tmp_path / "token").write_text("models.new")
    new = {"Authorization": "Bearer models.new"}
    assert pod.get(f"/models/{digest}", "cluster", headers=new).status_code == 200


def test_a_pod_of_another_revision_says_so(pod: Client) -> None:
    """The pod that asks tries again, and may reach another one."""
    answer = pod.get(f"/models/sha256:{'0' * 64}", "cluster", headers=TOKEN)
    assert answer.status_code == 404
    assert "this pod has the model sha256:" in answer.json()["detail"]


def test_where_the_store_takes_no_token_neither_does_a_pod(start: Start, digest: str, tmp_path: Path) -> None:
    """Both are as open as the other."""
    pod = start(store=StoreSettings("http://store", tmp_path / "none", is_open=True))
    assert pod.get(f"/models/{digest}", "cluster").status_code == 200


def test_a_container_that_starts_while_the_token_is_gone_gives_nothing(
    start: Start, digest: str, tmp_path: Path
) -> None:
    """As after a crash while the Secret is made anew: a missing file does not make the store an open one."""
    pod = start(store=StoreSettings("http://store", tmp_path / "token"))
    for headers in ({}, TOKEN):
        assert pod.get(f"/models/{digest}", "cluster", headers=headers).status_code == 401
    (tmp_path / "token").write_text("models.abc")
    assert pod.get(f"/models/{digest}", "cluster", headers=TOKEN).status_code == 200


def test_without_a_store_a_pod_gives_nothing(start: Start, digest: str) -> None:
    """Nobody would ask."""
    assert start().get(f"/models/{digest}", "cluster").status_code == 404
