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
    """Inits run one after the other and before the container, so versions are numbered first, better, bad."""
    pod = models.training_job()["spec"]["template"]["spec"]

    assert [each["name"] for each in pod["initContainers"] + pod["containers"]] == ["first", "better", "bad"]


def test_the_result_is_found_behind_the_progress() -> None:
    """kubectl's logs mix stderr and stdout; the JSON line is the result."""
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
    """Other conditions are steps on the way."""
    job = {"status": {"conditions": [{"type": each} for each in conditions]}}

    assert models.ending_of(job) == ending


def aliases_answering(status: int, body: Any) -> Aliases:
    return Aliases("http://mlflow", transport=httpx.MockTransport(lambda request: httpx.Response(status, json=body)))


def test_an_alias_that_is_absent_is_none() -> None:
    """MLflow answers 400 for a missing alias and 404 for a missing model."""
    assert asyncio.run(aliases_answering(400, {}).get("champion")) is None
    assert asyncio.run(aliases_answering(404, {}).get("champion")) is None
    asyncio.run(aliases_answering(404, {}).remove("champion"))


def test_an_alias_names_a_version() -> None:
    """The version is MLflow's string."""
    assert asyncio.run(aliases_answering(200, {"model_version": {"version": "4"}}).get("champion")) == "4"


def test_trouble_with_mlflow_is_not_absence() -> None:
    """An outage must not look like an alias that is not set."""
    with pytest.raises(CommandError, match="MLflow answered 503 to GET alias"):
        asyncio.run(aliases_answering(503, {}).get("champion"))
    with pytest.raises(CommandError, match="MLflow answered 400 to POST alias"):
        asyncio.run(aliases_answering(400, {}).set("challenger", "4"))


def test_the_example_is_the_manifest() -> None:
    """Host and weights are read from what is applied; the trained model is the one that it follows."""
    shown = example.read()

    assert shown.namespace == models.NAMESPACE
    assert f"models:/{models.NAME}@challenger" in shown.path.read_text()
    assert list(shown.weights) == sorted(shown.weights)
    assert shown.host


def pod(state: str, *, deleting: bool = False) -> dict[str, Any]:
    container = {"name": "operator", "state": {state: {}}, "restartCount": 1, "containerID": "containerd://a"}
    metadata = {"deletionTimestamp": "now"} if deleting else {}
    return {"metadata": metadata, "status": {"containerStatuses": [container]}}


def test_only_a_running_operator_can_be_killed() -> None:
    """A container that waits for its restart has no process, and a pod on its way out does not count."""
    assert running_container([pod("waiting"), {"metadata": {}, "status": {}}, pod("running", deleting=True)]) is None
    assert running_container([pod("waiting"), pod("running")]) is not None


def test_a_container_that_is_nowhere_is_named() -> None:
    """No guess is made about which process to kill."""
    for container in ("containerd://" + "f" * 64, ""):
        with pytest.raises(CommandError, match="no process of container"):
            process_of(container)
