"""The operator's registry client with a real MLflow: each form of URI, and each way in which a model can be missing."""

import asyncio
import base64
import json
import subprocess
import sys
from dataclasses import dataclass

import httpx
import pytest

from sluice_operator.api.observation import HoldOut, HoldOutAnswer, Resolution, Resolved, Rows, Unreachable, Unresolved
from sluice_operator.api.revision import Model
from sluice_operator.http_client import HttpClient
from sluice_operator.mlflow import client
from sluice_operator.mlflow.client import Registry, RegistryError
from sluice_operator.mlflow.connection import Connection
from sluice_operator.mlflow.uris import ByAlias, ByStage

REGISTER = """
import json, mlflow
from mlflow.models import infer_signature
mlflow.set_experiment("contract")
def log():
    with mlflow.start_run() as run:
        from sklearn.linear_model import LogisticRegression
        model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        signature = infer_signature([[0.0]], [0])
        logged = mlflow.sklearn.log_model(model, name="model", registered_model_name="rose", signature=signature)
    return {"run": run.info.run_id, "id": logged.model_id}
versions = [log(), log()]
client = mlflow.MlflowClient()
client.set_registered_model_alias("rose", "challenger", "1")
client.transition_model_version_stage("rose", "1", "Production")
print(json.dumps(versions))
"""


@dataclass(frozen=True)
class Rose:
    """A registered model with two versions: 1 is @challenger and in Production, 2 is the latest."""

    url: str
    versions: list[dict[str, str]]

    def resolve(self, uri: str, tracking_uri: str = "") -> Resolution:
        async def ask() -> Resolution:
            async with HttpClient("mlflow") as client:
                return await Registry(client, self.url).resolve(uri, Connection(tracking_uri))

        return asyncio.run(ask())


@pytest.fixture(scope="module")
def rose(mlflow_server: str) -> Rose:
    environment = {"MLFLOW_TRACKING_URI": mlflow_server, "PYTHONWARNINGS": "ignore", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", REGISTER], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return Rose(mlflow_server, json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("uri", "version"),
    [
        ("models:/rose/1", "1"),
        ("models:/rose@challenger", "1"),
        ("models:/rose/latest", "2"),
        ("models:/rose/Production", "1"),
        ("models:/rose/production", "1"),
        ("models:/rose/None", "2"),
    ],
)
def test_a_registry_uri_is_resolved_to_a_version(rose: Rose, uri: str, version: str) -> None:
    """To the number that it names now, with run and source."""
    resolution = rose.resolve(uri)
    assert isinstance(resolution, Resolved)
    logged = rose.versions[int(version) - 1]
    pinned = resolution.model
    assert (pinned.uri, pinned.name, pinned.version) == (f"models:/rose/{version}", "rose", version)
    assert (pinned.run_id, pinned.source) == (logged["run"], f"models:/{logged['id']}")


def test_a_logged_model_and_a_model_of_a_run_are_resolved(rose: Rose) -> None:
    """These URIs are pinned already."""
    logged = rose.versions[0]
    by_id, by_run = rose.resolve(f"models:/{logged['id']}"), rose.resolve(f"runs:/{logged['run']}/model")
    assert isinstance(by_id, Resolved)
    assert isinstance(by_run, Resolved)
    assert (by_id.model.uri, by_id.model.name, by_id.model.run_id) == (
        f"models:/{logged['id']}",
        "model",
        logged["run"],
    )
    assert (by_run.model.uri, by_run.model.run_id) == (f"runs:/{logged['run']}/model", logged["run"])


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("models:/rose@nobody", "AliasNotFound"),
        ("models:/tulip@challenger", "ModelNotFound"),
        ("models:/rose/99", "VersionNotFound"),
        ("models:/tulip/1", "VersionNotFound"),
        ("models:/rose/Archived", "StageEmpty"),
        ("models:/m-0123456789abcdef0123456789abcdef", "ModelNotFound"),
        ("runs:/0123456789abcdef0123456789abcdef/model", "ModelNotFound"),
        ("models:/rose/challenger", "InvalidURI"),
    ],
)
def test_a_missing_model_is_not_an_outage(rose: Rose, uri: str, reason: str) -> None:
    """MLflow answers 400 for a missing alias and 404 for a missing version. In both cases the spec must change."""
    resolution = rose.resolve(uri)
    assert isinstance(resolution, Unresolved)
    assert resolution.reason == reason


def test_an_answer_that_is_not_mlflow_s_is_an_outage(rose: Rose) -> None:
    """Such as an HTML page, or the 404 of a proxy."""

    async def ask() -> Resolution:
        async with HttpClient("mlflow") as client:
            return await Registry(client, f"{rose.url}/nowhere").resolve("models:/rose/1", Connection())

    assert isinstance(asyncio.run(ask()), Unreachable)


def test_all_aliases_are_listed_page_by_page(rose: Rose, monkeypatch: pytest.MonkeyPatch) -> None:
    """And none are, if there are more models than the reader wants."""
    for number in range(5):
        made = httpx.post(f"{rose.url}/api/2.0/mlflow/registered-models/create", json={"name": f"page-{number}"})
        made.raise_for_status()

    async def ask(most: int) -> dict[tuple[str, str], str] | None:
        async with HttpClient("mlflow") as http:
            listed = await Registry(http, rose.url).aliases(Connection(), most)
        assert all(alias.registered.isdigit() for alias in (listed or {}).values())
        return None if listed is None else {key: alias.version for key, alias in listed.items()}

    assert asyncio.run(ask(1_000)) == {("rose", "challenger"): "1"}
    monkeypatch.setattr(client, "_PER_PAGE", 2)
    assert asyncio.run(ask(100)) == {("rose", "challenger"): "1"}
    assert asyncio.run(ask(4)) is None


def test_an_alias_is_moved_and_read_back(rose: Rose) -> None:
    """To move it twice is the same as once."""
    champion = ByAlias("rose", "champion")

    async def move() -> str | None:
        async with HttpClient("mlflow") as client:
            registry = Registry(client, rose.url)
            assert await registry.named_version(Connection(), champion) is None
            await registry.move(Connection(), champion, "2")
            await registry.move(Connection(), champion, "2")
            return await registry.named_version(Connection(), champion)

    assert asyncio.run(move()) == "2"


def test_a_stage_is_moved_there_and_back_and_what_had_it_is_archived(rose: Rose) -> None:
    """Back is what an undo does: the older version has the stage again although the registry has a newer one."""
    production = ByStage("rose", "Production")

    def stages() -> dict[str, str]:
        asked = {"filter": "name='rose'"}
        found = httpx.get(f"{rose.url}/api/2.0/mlflow/model-versions/search", params=asked).raise_for_status().json()
        return {version["version"]: version["current_stage"] for version in found["model_versions"]}

    async def move(version: str) -> str | None:
        async with HttpClient("mlflow") as client:
            registry = Registry(client, rose.url)
            await registry.move(Connection(), production, version)
            await registry.move(Connection(), production, version)
            return await registry.named_version(Connection(), production)

    assert asyncio.run(move("2")) == "2"
    assert stages() == {"1": "Archived", "2": "Production"}
    assert asyncio.run(move("1")) == "1"
    assert stages() == {"1": "Production", "2": "Archived"}


def test_a_stage_that_is_empty_or_of_no_model_names_no_version(rose: Rose) -> None:
    """And a version that the registry does not have gets none: the answer says so."""

    async def ask() -> tuple[str | None, str | None]:
        async with HttpClient("mlflow") as client:
            registry = Registry(client, rose.url)
            with pytest.raises(RegistryError, match="99"):
                await registry.move(Connection(), ByStage("rose", "Staging"), "99")
            empty = await registry.named_version(Connection(), ByStage("rose", "Staging"))
            return empty, await registry.named_version(Connection(), ByStage("tulip", "Staging"))

    assert asyncio.run(ask()) == (None, None)


def hold_out_with(rose: Rose, total: int) -> HoldOut:
    """What is read of a hold-out with `total` rows, all right, and with all of their bits in one tag."""
    run = rose.versions[0]["run"]
    packed = (((1 << total) - 1) << -total % 8).to_bytes((total + 7) // 8)
    tags = {"sluice.holdout.digest": "sha256:ab", "sluice.holdout.correct": base64.b64encode(packed).decode()}
    now = 1_760_000_000_000 + total  # of two values MLflow returns the newer one
    batch = {
        "run_id": run,
        "metrics": [{"key": key, "value": total, "timestamp": now, "step": 0} for key in ("correct", "total")],
        "tags": [{"key": key, "value": value} for key, value in tags.items()],
    }
    httpx.post(f"{rose.url}/api/2.0/mlflow/runs/log-batch", json=batch).raise_for_status()

    async def ask() -> HoldOutAnswer:
        async with HttpClient("mlflow") as client:
            return await Registry(client, rose.url).hold_out(Model("models:/rose/1", "rose", "1", run), Connection())

    hold_out = asyncio.run(ask())
    assert isinstance(hold_out, HoldOut)
    return hold_out


def test_a_tag_holds_48000_rows_of_a_hold_out(rose: Rose) -> None:
    """With one row more, MLflow cuts the tag off, and the rows are not used."""
    assert hold_out_with(rose, 48_000) == HoldOut("rose/1", 48_000, 48_000, Rows("sha256:ab", (1 << 48_000) - 1))
    rows = hold_out_with(rose, 48_001).rows
    assert isinstance(rows, Unresolved)
    assert "is not of 48001 of 48001 rows: 6000 bytes" in rows.message
