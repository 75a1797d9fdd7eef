"""What MLflow's client raises becomes a refusal, or a reason to try again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.exceptions import RestException

from sluice_server.fetch import artifacts, fetch
from sluice_server.fetch.artifacts import Artifacts, Pinned
from sluice_server.fetch.bucket_words import BucketLoginError
from sluice_server.fetch.outcome import Unavailable
from sluice_server.model.origin import Origin
from sluice_server.model.refusal import Refused
from sluice_server.settings import fetch_settings

BUCKET = "gs://bucket/models/m-1/artifacts"
NO_CLIENT = ModuleNotFoundError("No module named 'google.cloud'", name="google.cloud")
SENTENCE = (
    "the files at gs://bucket/models/m-1/artifacts need google.cloud, which is not here: "
    "start MLflow with --serve-artifacts, or use an image with that package"
)


class Store:
    """A repository of MLflow's client whose listing raises."""

    def __init__(self, trouble: Exception) -> None:
        self._trouble = trouble

    def list_artifacts(self, folder: str | None) -> list[Any]:
        raise self._trouble


def test_a_store_whose_client_is_not_in_the_image_is_refused() -> None:
    """Another try would not help: the message names the package and says what to do."""
    assert artifacts.list_files(Artifacts(Store(NO_CLIENT), BUCKET)) == Refused("UnsupportedStore", SENTENCE)


def test_a_store_that_does_not_answer_is_unavailable() -> None:
    """The same listing is tried again, because the store may answer later."""
    listed = artifacts.list_files(Artifacts(Store(OSError("connection refused")), BUCKET))
    assert listed == Unavailable("ArtifactsUnreachable", f"the files at {BUCKET} cannot be listed: connection refused")


def test_a_login_that_a_bucket_refuses_is_no_outage() -> None:
    """The message says which Secret to correct."""
    listed = artifacts.list_files(Artifacts(Store(BucketLoginError("AccessDenied, Access Denied")), BUCKET))
    assert listed == Unavailable(
        "ArtifactsLoginRefused",
        f"the files at {BUCKET} cannot be listed, the login is refused (AccessDenied, Access Denied): "
        "correct the Secret that model.registry.artifactSecret names, or name one",
    )


@pytest.mark.parametrize(
    ("trouble", "code", "key", "reason"),
    [
        (NO_CLIENT, 3, "refused", "UnsupportedStore"),
        (OSError("connection refused"), 1, "unavailable", "ArtifactsUnreachable"),
    ],
)
def test_the_exit_code_says_whether_another_try_may_help(
    trouble: Exception, code: int, key: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3 is refused for good and 1 is worth another try; the termination message has the reason and the sentence."""
    monkeypatch.setattr(artifacts, "locate", lambda uri: Artifacts(Store(trouble), BUCKET))
    log = tmp_path / "termination-log"
    settings = fetch_settings({"SLUICE_MODEL_URI": "models:/iris/3", "SLUICE_TERMINATION_LOG": str(log)})
    assert fetch.run(settings) == code
    message = json.loads(log.read_text(encoding="utf-8"))
    assert list(message) == [key]
    assert message[key]["reason"] == reason
    assert BUCKET in message[key]["message"]


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (
            "gs://bucket/m-1",
            "need google.cloud, which is not here: start MLflow with --serve-artifacts",
        ),
        ("wasbs://c@a.blob.core.windows.net/m-1", "need azure, which is not here"),
        ("nowhere://bucket/m-1", "MLflow knows no store for nowhere: addresses such as nowhere://bucket/m-1"),
    ],
)
def test_a_store_that_mlflow_s_client_cannot_open_is_refused(
    place: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ImportError ended the container with a trace before, and never with a sentence."""
    monkeypatch.setattr(artifacts, "_artifact_uri", lambda uri: place)
    found = artifacts.locate("models:/iris/3")
    assert isinstance(found, Refused)
    assert (found.reason, says in found.message) == ("UnsupportedStore", True)


@pytest.mark.parametrize("error_code", ["UNAUTHENTICATED", "PERMISSION_DENIED"])
def test_a_refused_login_is_no_outage(error_code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, because credentials can be corrected, and the message says where."""

    def refuse(uri: str) -> str:
        raise RestException({"error_code": error_code, "message": "no"})

    monkeypatch.setattr(artifacts, "_artifact_uri", refuse)
    found = artifacts.locate("models:/iris/3")
    assert isinstance(found, Unavailable)
    assert found.reason == "RegistryLoginRefused"
    assert found.message.endswith("correct the Secret that model.registry.credentialsSecret names, or name one")


@pytest.mark.parametrize(
    ("error_code", "told"),
    [("RESOURCE_DOES_NOT_EXIST", Origin("r1")), ("PERMISSION_DENIED", Origin("r1")), ("INTERNAL_ERROR", None)],
)
def test_a_run_that_is_gone_or_hidden_costs_only_what_it_would_tell(
    error_code: str, told: Origin | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is served without it. An outage is another thing: the next try may know more."""

    class Client:
        def get_run(self, run_id: str) -> Any:
            raise RestException({"error_code": error_code, "message": "no run"})

    monkeypatch.setattr(artifacts, "MlflowClient", Client)
    found = artifacts.origin_of("models:/iris/3", "r1")
    assert found == told or (told is None and isinstance(found, Unavailable))


class Registry:
    """A registry with three versions of one model: 2 is the champion, 1 in Production."""

    def get_model_version_by_alias(self, name: str, alias: str) -> Any:
        if alias != "champion":
            raise RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "no such alias"})
        return SimpleNamespace(version="2")

    def get_latest_versions(self, name: str, stages: list[str]) -> list[Any]:
        return [SimpleNamespace(version="1")] if stages == ["Production"] else []

    def search_model_versions(self, query: str) -> list[Any]:
        return [SimpleNamespace(version=version) for version in ("9", "10", "2")] if query == "name='iris'" else []


@pytest.mark.parametrize(
    ("uri", "pinned"),
    [
        ("models:/iris@champion", Pinned("models:/iris/2", "iris", "2")),
        ("models:/iris/Production", Pinned("models:/iris/1", "iris", "1")),
        ("models:/iris/latest", Pinned("models:/iris/10", "iris", "10")),
        ("models:/iris/3", Pinned("models:/iris/3", "iris", "3")),
        ("models:/m-0123456789abcdef", Pinned("models:/m-0123456789abcdef", "", "")),
        ("runs:/r1/model", Pinned("runs:/r1/model", "", "")),
        ("models:/iris@challenger", None),
        ("models:/iris/Staging", None),
        ("models:/rose/latest", None),
    ],
)
def test_a_name_that_can_move_is_pinned_to_the_version_of_now(
    uri: str, pinned: Pinned | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the registry does not have is refused."""
    monkeypatch.setattr(artifacts, "MlflowClient", Registry)
    found = artifacts.pin(uri)
    assert found == pinned or (pinned is None and isinstance(found, Refused) and found.reason == "ModelNotFound")
