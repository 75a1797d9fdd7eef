import asyncio
import json
from typing import Any

import httpx
import pytest

from dev.demo import example, models
from dev.demo.chaos import running_container
from dev.demo.cluster import CommandError, process_of
from dev.demo.models import Aliases, Version

RESULT = {"uri": "models:/iris/4", "name": "iris", "version": "4", "metrics": {"correct": 43.0, "total": 45.0}}


def test_the_job_trains_in_order() -> None:
    """Init containers run one after the other and before the container: versions are numbered first, better, bad."""
    pod = models.training_job()["spec"]["template"]["spec"]

    assert [container["name"] for container in pod["initContainers"] + pod["containers"]] == ["first", "better", "bad"]


def test_the_result_is_the_json_line_of_the_log() -> None:
    """The log also has lines of progress, because kubectl mixes stderr and stdout."""
    log = f"training 5 trees\n{json.dumps(RESULT)}\n"

    assert models.registered(log) == Version("4", "models:/iris/4", 43, 45)


@pytest.mark.parametrize(
    ("conditions", "ending"),
    [
        ([], None),
        (["SuccessCriteriaMet"], None),
        (["SuccessCriteriaMet", "Complete"], "Complete"),
        (["Failed"], "Failed"),
    ],
)
def test_a_job_ends_complete_or_failed(conditions: list[str], ending: str | None) -> None:
    """Other conditions come before the end."""
    job = {"status": {"conditions": [{"type": condition} for condition in conditions]}}

    assert models.ending_of(job) == ending


def aliases_answering(status: int, body: Any) -> Aliases:
    return Aliases("http://mlflow", transport=httpx.MockTransport(lambda request: httpx.Response(status, json=body)))


def test_an_alias_that_is_absent_is_none() -> None:
    """MLflow answers 400 for a missing alias and 404 for a missing model."""
    assert asyncio.run(aliases_answering(400, {}).get("champion")) is None
    assert asyncio.run(aliases_answering(404, {}).get("champion")) is None
    asyncio.run(aliases_answering(404, {}).remove("champion"))


def test_an_alias_names_a_version() -> None:
    """MLflow gives the version as a string."""
    assert asyncio.run(aliases_answering(200, {"model_version": {"version": "4"}}).get("champion")) == "4"


def test_an_error_of_mlflow_is_not_a_missing_alias() -> None:
    """An outage must not look like an alias that is not set."""
    with pytest.raises(CommandError, match="MLflow answered 503 to GET alias"):
        asyncio.run(aliases_answering(503, {}).get("champion"))
    with pytest.raises(CommandError, match="MLflow answered 400 to POST alias"):
        asyncio.run(aliases_answering(400, {}).set("challenger", "4"))


def test_the_example_is_the_manifest() -> None:
    """Host and weights are those of the applied file, and that file names the model that is trained."""
    manifest = example.read()

    assert manifest.namespace == models.NAMESPACE
    assert f"models:/{models.NAME}@challenger" in manifest.path.read_text()
    assert list(manifest.weights) == sorted(manifest.weights)
    assert manifest.host


def pod(state: str, *, deleting: bool = False) -> dict[str, Any]:
    container = {"name": "operator", "state": {state: {}}, "restartCount": 1, "containerID": "containerd://a"}
    metadata = {"deletionTimestamp": "now"} if deleting else {}
    return {"metadata": metadata, "status": {"containerStatuses": [container]}}


def test_only_a_running_operator_can_be_killed() -> None:
    """A container that waits for its restart has no process. A pod that is being deleted does not count."""
    assert running_container([pod("waiting"), {"metadata": {}, "status": {}}, pod("running", deleting=True)]) is None
    assert running_container([pod("waiting"), pod("running")]) is not None


def test_a_container_without_a_process_is_an_error() -> None:
    """Otherwise another process could be killed."""
    for container in ("containerd://" + "f" * 64, ""):
        with pytest.raises(CommandError, match="no process of container"):
            process_of(container)
