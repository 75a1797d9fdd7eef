"""The scripts of the workflows as GitHub would run them: with a real MLflow, a real API server and a real server.

GitHub itself is a server of loopback here: what it would be sent is looked at.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest
import yaml
from cryptography.fernet import Fernet

from dev import mlflow_server
from dev.api_server import ROOT
from dev.workflows import model_validation, registry
from dev.workflows.relay import GitHub, Relay, Wanted
from tests.contract.conftest import eventually
from tests.contract.listening import Handler, listening, server
from tests.contract.prometheus_server import prometheus_in

PATIENCE = 30.0
SECRET = "only for this test"  # between MLflow and the relay
WEBHOOKS = {
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
}


@dataclass(frozen=True)
class Posted:
    """A request that a server of loopback was sent."""

    path: str
    headers: dict[str, str]
    body: Any


@contextmanager
def receiver(*statuses: int) -> Iterator[tuple[str, Queue[Posted]]]:
    """A server that keeps what is posted. `statuses`: its answers, the last one for all that follow."""
    posted: Queue[Posted] = Queue()
    answers = list(statuses)

    class GitHubApi(Handler):
        def respond(self) -> None:
            posted.put(Posted(self.path, dict(self.headers.items()), self.received()))
            self.answer(answers.pop(0) if len(answers) > 1 else answers[0])

    with listening(server(GitHubApi)) as url:
        yield url, posted


@pytest.fixture(scope="module")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow whose webhooks may go to loopback, and a version of iris.

    The last line of its training is what GitHub would be told as `model_uri`.
    """
    with mlflow_server.running(tmp_path_factory.mktemp("mlflow"), **WEBHOOKS) as url:
        assert trained(url).splitlines()[-1] == "models:/iris/1"
        yield url


def trained(url: str) -> str:
    """What `make train` prints."""
    environment = os.environ | {"MLFLOW_TRACKING_URI": url, "MLFLOW_MODEL_NAME": "iris", "ALIAS": ""}
    command = [
        "make",
        "--no-print-directory",
        "--old-file=.venv/installed",
        f"BIN={Path(sys.executable).parent}",
        "train",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def environment(mlflow_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_url)


def post(mlflow: str, path: str, **body: Any) -> Any:
    return httpx.post(f"{mlflow}/api/2.0/mlflow/{path}", json=body).raise_for_status().json()


def test_a_version_that_is_what_it_was_passes_the_validation(capsys: pytest.CaptureFixture[str]) -> None:
    """Served by the real model server, it is right on the same rows of the hold-out as when it was trained."""
    assert model_validation.main(["--model", "models:/iris/latest", "--min-accuracy", "0.80"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [each.split()[0] for each in lines] == ["ok", "ok", "ok"]
    assert lines[2] == "ok    0 rows are answered otherwise than when it was trained"


def test_a_version_that_is_not_there_cannot_be_validated(capsys: pytest.CaptureFixture[str]) -> None:
    """That is neither good nor bad."""
    assert model_validation.main(["--model", "models:/iris@nobody"]) == 2
    assert "nobody" in capsys.readouterr().err


def test_a_login_of_mlflow_goes_with_the_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """By MLflow's own variables, as the trainer has them."""
    headers: Queue[str] = Queue()

    class Registry(Handler):
        def respond(self) -> None:
            headers.put(self.headers.get("Authorization", ""))
            self.answer(404)

    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0k3n")
    with listening(server(Registry)) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        with pytest.raises(registry.NotResolvedError):
            registry.resolved("models:/iris@champion")
    assert headers.get_nowait() == "Bearer t0k3n"


def test_an_alias_that_moves_in_mlflow_starts_the_deploy_workflow(mlflow_url: str) -> None:
    """MLflow's own webhook, with its signature, becomes a repository dispatch of GitHub. A failure is tried again."""
    with receiver(503, 204) as (api, posted):
        github = GitHub(api, "team/models", "t0k3n")
        relay = Relay(("127.0.0.1", 0), SECRET, Wanted("iris", "champion"), github)
        with listening(relay) as address:
            events = [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}]
            made = post(
                mlflow_url, "webhooks", name="relay", url=address, events=events, secret=SECRET, status="ACTIVE"
            )
            post(mlflow_url, "registered-models/alias", name="iris", alias="other", version="1")
            post(mlflow_url, "registered-models/alias", name="iris", alias="champion", version="1")
            first, again = posted.get(timeout=PATIENCE), posted.get(timeout=PATIENCE)
        httpx.delete(f"{mlflow_url}/api/2.0/mlflow/webhooks/{made['webhook']['webhook_id']}").raise_for_status()
    assert first.path == "/repos/team/models/dispatches"
    assert first.headers["Authorization"] == "Bearer t0k3n"
    assert first.body == again.body == {
        "event_type": "mlflow-model-promoted",
        "client_payload": {"model_uri": "models:/iris/1", "alias": "champion"},
    }  # fmt: skip
    assert posted.empty()


def test_the_prometheus_of_compose_knows_the_model_as_in_a_cluster(tmp_path: Path) -> None:
    """Its scrape job adds the labels that the rules group by: a rule of manifests/alerts finds the requests."""
    (tmp_path / "rules").symlink_to(ROOT / "manifests" / "alerts")
    with model_validation.served(registry.resolved("models:/iris/1"), tmp_path) as server:
        text = (ROOT / "manifests" / "compose" / "prometheus.yaml").read_text(encoding="utf-8")
        text = text.replace("server:8080", server.url.removeprefix("http://")).replace(": 5s", ": 1s")
        text = text.replace("evaluation_interval: 10s", "evaluation_interval: 1s")
        with prometheus_in(tmp_path, yaml.safe_load(text)) as url:
            [series] = eventually(lambda: found(url, "model_deployment:ml_requests:rate5m"), "the rule")
    assert (series["metric"]["namespace"], series["metric"]["model_deployment"]) == ("compose", "iris")


def found(prometheus: str, query: str) -> list[dict[str, Any]]:
    """What a query finds."""
    answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": query}).raise_for_status()
    return list(answer.json()["data"]["result"])
