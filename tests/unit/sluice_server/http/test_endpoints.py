"""The endpoints of a pod that serves a real forest, through both entries."""

from __future__ import annotations

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sluice_server.inference.batching import Batcher
from sluice_server.inference.prediction_ids import Keyring
from sluice_server.inference.rate_limits import PROBE_BURST
from sluice_server.inference.readiness import Phase
from sluice_server.model.origin import Origin
from sluice_server.model.reference import FeatureReference, Reference
from sluice_server.model.schema import Rows
from sluice_server.runtimes.output import Output

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Client, Save, Start

ROW = [5.1, 3.5, 1.4, 0.2]
CURRENT, PREVIOUS = b"k" * 32, b"p" * 32


def test_a_prediction_has_all_its_parts(client: Client) -> None:
    """Predictions, probabilities per class, version and id; version, revision and correlation id as headers."""
    answer = client.post("/predict", json={"features": [ROW, [6, 3, 5, 2]]}, headers={"X-Correlation-ID": "abc-1"})
    content = answer.json()
    assert answer.status_code == 200
    assert content["predictions"] == [0, 2]
    assert [len(row) for row in content["probabilities"]] == [3, 3]
    assert content["model_version"] == "3"
    assert content["prediction_id"]
    assert answer.headers["X-Model-Version"] == "3"
    assert answer.headers["X-Sluice-Revision"] == "abcdefghij"
    assert answer.headers["X-Correlation-ID"] == "abc-1"


@pytest.mark.parametrize("sent", ["", "two\twords", "x" * 200, "<script>"])
def test_a_correlation_id_that_cannot_be_logged_is_replaced(client: Client, sent: str) -> None:
    """Absent, too long or with odd characters: a new one is made."""
    answer = client.get("/health/live", headers={"X-Correlation-ID": sent})
    assert len(answer.headers["X-Correlation-ID"]) == 32


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/metadata", "/docs", "/openapi.json"])
@pytest.mark.parametrize("entry", ["cluster", "gateway"])
def test_paths_answer_with_and_without_a_trailing_slash(client: Client, path: str, entry: str) -> None:
    """No redirect, on both ports, with the version in the headers."""
    for spelling in (path, f"{path}/"):
        answer = client.get(spelling, entry)
        assert answer.status_code == 200
        assert answer.headers["X-Model-Version"] == "3"


def test_a_trailing_slash_predicts_too(client: Client) -> None:
    """As some clients write it."""
    assert client.post("/predict/", json={"features": ROW}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/models/iris:predict"), ("POST", "/api/v1.0/predictions"), ("GET", "/")]
)
def test_the_paths_of_other_servers_are_answered_with_those_of_this_one(client: Client, method: str, path: str) -> None:
    """Who changes servers learns where to ask."""
    answer = client.request(method, path, json={"instances": [ROW]})
    assert answer.status_code == 404
    assert all(ours in answer.json()["detail"] for ours in ("/predict", "/invocations", "/v2/models/iris/infer"))


def test_metrics_are_on_the_cluster_port_only(client: Client) -> None:
    """What comes through the gateway cannot read them."""
    assert client.get("/metrics", "gateway").status_code == 404
    answer = client.get("/metrics", "cluster")
    assert answer.status_code == 200
    assert "ml_request_duration_seconds_bucket" in answer.text
    assert "_created" not in answer.text
    assert 'ml_model_info{flavor="sklearn",' in answer.text


def test_the_documentation_describes_predict_from_the_signature(client: Client) -> None:
    """All forms, with the columns by name and the example that works."""
    document = client.get("/openapi.json").json()
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    forms = {form["title"]: form for form in content["schema"]["properties"]["features"]["anyOf"]}
    assert forms["columns"]["required"] == ["sepal length", "sepal width", "petal length", "petal width"]
    assert client.post("/predict", json=content["example"]).status_code == 200
    others = {"/feedback", "/health/live", "/health/ready", "/metadata", "/metrics"}
    dialects = {"/invocations", "/v2/models/iris/infer", "/v2/models/iris/versions/3/infer"}
    assert others | dialects <= set(document["paths"])
    operations = [each["operationId"] for path in document["paths"].values() for each in path.values()]
    assert len(operations) == len(set(operations))


def test_metadata_says_what_is_served(client: Client) -> None:
    """Model, revision, digest, signature and a body that works."""
    content = client.get("/metadata").json()
    named = {"name": "iris", "version": "3", "uri": "models:/iris/3", "source": "registry:iris/v3"}
    unknown: dict[str, Any] = {"run_id": None, "git_commit": None, "metrics": {}}
    assert content["model"] == named | {"registry_name": "iris"} | unknown
    digests = {"artifact": f"sha256:{'0' * 64}", "prepared": None}
    assert (content["revision"], content["digests"]) == ("abcdefghij", digests)
    assert content["target_classes"] == [0, 1, 2]
    assert "sepal length" in content["signature"]["inputs"]
    assert client.post("/predict", json=content["input_example"]).status_code == 200


def test_the_digest_of_a_prepared_model_is_the_one_that_status_shows(start: Start) -> None:
    """Beside that of what MLflow has; they are digests of two folders."""
    client = start(digest=f"sha256:{'1' * 64}")
    digests = {"artifact": f"sha256:{'0' * 64}", "prepared": f"sha256:{'1' * 64}"}
    assert client.get("/metadata").json()["digests"] == digests


def test_the_description_has_the_ranges_that_values_are_held_to(start: Start, save: Save, tmp_path: Path) -> None:
    """Of whole numbers and of numbers: a value at an end is taken, and the next one beyond it is not."""
    kinds = {"narrow": "integer", "whole": "long", "number": "double", "flag": "boolean"}
    inputs = json.dumps([{"name": name, "type": kind, "required": True} for name, kind in kinds.items()])
    estimator = LinearRegression().fit(np.eye(4), np.arange(4.0))
    client = start(model_dir=save(tmp_path / "ranges", estimator, inputs, (1, 1, 1.0, True)))
    content = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    (rows, *_) = content["application/json"]["schema"]["properties"]["features"]["anyOf"]
    described = {cell["title"]: (cell.get("minimum"), cell.get("maximum")) for cell in rows["items"]["prefixItems"]}
    largest = float(np.finfo(np.float32).max)
    assert described == {
        "narrow": (-(2**31), 2**31 - 1),
        "whole": (1 - 2**53, 2**53 - 1),
        "number": (-largest, largest),
        "flag": (None, None),
    }
    for at, (low, high) in enumerate(list(described.values())[:3]):
        for value, beyond in ((low, np.nextafter(low, -np.inf)), (high, np.nextafter(high, np.inf))):
            row = [0, 0, 0.0, True]
            row[at] = value
            assert client.post("/predict", json={"features": row}).status_code == 200
            row[at] = float(beyond) if at == 2 else value + (1 if value > 0 else -1)
            assert client.post("/predict", json={"features": row}).status_code == 422


def test_what_the_training_run_told_is_shown(start: Start, save: Save, forest: Any, tmp_path: Path) -> None:
    """Run, commit and metrics in metadata and health; the accuracy and the duration as metrics of Prometheus."""
    metrics = {"accuracy": 0.956, "correct": 43.0, "training_seconds": 12.5}
    origin = Origin("4bf92f", "abc123", metrics)
    client = start(model_dir=save(tmp_path / "known", forest, origin=origin))
    content = client.get("/metadata").json()
    known = {"run_id": "4bf92f", "git_commit": "abc123", "metrics": metrics}
    assert known.items() <= content["model"].items()
    assert content["deployment"]["git_commit"] == "abc123"
    assert datetime.fromisoformat(content["deployment"]["timestamp"]) <= datetime.now(UTC)
    health = client.get("/health").json()
    assert (health["target_classes"], health["model_source"]) == ([0, 1, 2], "registry:iris/v3")
    assert health["metrics"]["accuracy"] == 0.956
    assert health["reload"] is None
    labels = {"model": "iris", "version": "3", "revision": "abcdefghij"}
    read = client.process.pod.metrics.registry.get_sample_value
    assert (read("ml_model_accuracy", labels), read("ml_model_training_seconds", labels)) == (0.956, 12.5)


@pytest.mark.parametrize("name", ["ml_model_accuracy", "ml_model_training_seconds"])
def test_what_the_training_has_not_measured_is_no_metric(client: Client, name: str) -> None:
    """A gate on 0.7 must not see a 0 that nobody has measured."""
    assert f"\n{name}{{" not in client.get("/metrics", "cluster").text


def test_metadata_says_what_requests_and_responses_must_look_like(client: Client) -> None:
    """The operator compares this of two revisions, before the newer one gets any request of a caller."""
    signature = client.get("/metadata").json()["signature"]
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    column = {"type": "number", "required": True, "nullable": True}
    assert signature["columns"] == [{"name": name, **column} for name in names]
    predictions = {"type": "integer", "values": 1, "classes": [0, 1, 2], "probabilities": True, "tolerance": None}
    assert signature["predictions"] == predictions


def test_metadata_of_a_pod_without_a_model_says_nothing_of_predictions(start: Start) -> None:
    """They are known when the model has answered its input example."""
    assert start(load=False).get("/metadata").json()["signature"]["predictions"] is None


@pytest.mark.parametrize(
    ("code", "options"),
    [
        (413, {"json": {"features": [ROW] * 101}}),
        (413, {"content": b" " * 5000, "headers": {"content-type": "application/json"}}),
        (415, {"content": b"1,2,3,4", "headers": {"content-type": "text/csv"}}),
        (415, {"content": b"x", "headers": {"content-type": "application/json", "content-encoding": "gzip"}}),
        (422, {"json": {"features": [[1, 2, 3]]}}),
        (422, {"content": b"{", "headers": {"content-type": "application/json; charset=utf-8"}}),
    ],
)
def test_bad_requests_get_their_code_and_are_counted(client: Client, code: int, options: dict[str, Any]) -> None:
    """Each with a detail, counted under its code and nowhere else."""
    answer = client.post("/predict", **options)
    assert answer.status_code == code
    assert answer.json()["detail"]
    assert client.value("ml_requests_total", code=str(code)) == 1
    assert client.value("ml_requests_total", code="200") == 0


def test_a_chunked_body_is_limited_too(client: Client) -> None:
    """Without a content-length the bytes are counted as they come."""

    async def chunks() -> Any:
        for _ in range(10):
            yield b" " * 1000

    assert client.post("/predict", content=chunks(), headers={"content-type": "application/json"}).status_code == 413
    assert client.post("/feedback", content=chunks(), headers={"content-type": "application/json"}).status_code == 413


def test_predict_takes_posts_only(client: Client) -> None:
    """Another method is told which one, and is no prediction to count."""
    answer = client.get("/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert client.value("ml_requests_started_total") == 0


def test_requests_are_counted_by_entry(client: Client) -> None:
    """Started, ended, timed and classes predicted, under the port they came through."""
    client.post("/predict", "gateway", json={"features": [ROW, ROW]})
    client.post("/predict", "cluster", json={"features": [6, 3, 5, 2]})
    assert client.value("ml_requests_started_total", "gateway") == 1
    assert client.value("ml_requests_total", "gateway", code="200") == 1
    assert client.value("ml_request_duration_seconds_count", "gateway") == 1
    assert client.value("ml_requests_in_progress", "gateway") == 0
    assert client.value("ml_predictions_total", "gateway", **{"class": "0"}) == 2
    assert client.value("ml_predictions_total", "gateway", **{"class": "2"}) == 0
    assert client.value("ml_predictions_total", "cluster", **{"class": "2"}) == 1


def test_features_are_counted_by_the_bins_of_the_training(
    start: Start, save: Save, forest: Any, tmp_path: Path
) -> None:
    """Rows that were answered; not probes, and not what was refused. Without a reference there are no bins."""
    bins = Reference(10, (FeatureReference("petal width", (4, 6), edges=(0.0, 1.0, 2.5)),))
    client = start(model_dir=save(tmp_path / "known", forest, reference=bins))
    client.post("/predict", json={"features": [ROW, [6, 3, 5, 2], [6, 3, 5, 2]]})
    client.post("/invocations", json={"instances": [[6, 3, 5, 99]]})
    client.post("/predict", json={"features": [1, 2, 3]})
    client.post("/predict", json={"features": ROW}, headers={"x-sluice-probe": "smoke"})
    shown = re.findall(r'ml_feature_bin_total{bin="(.*?)",feature="petal width".*} (.*)', metrics_of(client))
    assert dict(shown) == {"below": "0.0", "[0.0, 1.0)": "1.0", "[1.0, 2.5]": "2.0", "above": "1.0", "missing": "0.0"}
    assert "ml_feature" not in metrics_of(start())


def metrics_of(client: Client) -> str:
    return client.get("/metrics", "cluster").text


@pytest.mark.parametrize("features", [ROW, [1]])
def test_probes_leave_no_trace_in_the_numbers(client: Client, features: list[float]) -> None:
    """Right or wrong, a request with the probe header is answered, not counted, and takes no feedback."""
    before = client.get("/metrics", "cluster").text.split("# HELP process_")[0]
    answer = client.post("/predict", json={"features": features}, headers={"x-sluice-probe": "smoke"})
    assert answer.json().get("prediction_id") is None
    assert client.get("/metrics", "cluster").text.split("# HELP process_")[0] == before


def test_answers_to_labels_are_counted_by_who_gave_them(client: Client) -> None:
    """Also a refusal is an answer. Predictions, probes and scrapes do not count there."""
    before = others_of(client)
    client.post("/feedback", json={"prediction_id": "none", "label": 0})
    client.get("/predict")
    client.get("/health")
    client.post("/predict", json={"features": ROW})
    client.get("/metadata", headers={"x-sluice-probe": "weight"})
    assert others_of(client) == {"gateway": before["gateway"] + 3, "cluster": before["cluster"]}


def others_of(client: Client) -> dict[str, float]:
    found = re.findall(r'ml_other_requests_total{entry="(\w+)".*} (.*)', metrics_of(client))
    return {entry: float(number) for entry, number in found}


def test_a_model_that_raises_is_a_500(client: Client) -> None:
    """The model's failure is its own fault, whatever it says about the input."""

    def fail(rows: Rows) -> Output:
        raise ValueError("Input X contains something")

    with ThreadPoolExecutor(1) as worker:
        client.process.pod.data_plane.take(Batcher(fail, worker, 100), None)
        client.process.pod.data_plane.open(Output(np.zeros(1), None, None))
        answer = client.post("/predict", json={"features": ROW})
    assert answer.status_code == 500
    assert "Input X" not in answer.text
    assert client.value("ml_requests_total", code="500") == 1
    assert client.value("ml_requests_in_progress") == 0


# --- readiness


def test_not_ready_before_the_model_is_loaded(start: Start) -> None:
    """Alive, not ready and why; a prediction is a 503 and counted as one."""
    client = start(load=False)
    assert client.get("/health/live").status_code == 200
    for path in ("/health", "/health/ready"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.json()["reason"] == "the model is being loaded"
    answer = client.post("/predict", json={"features": ROW})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert client.value("ml_requests_total", code="503") == 1


def test_a_model_that_cannot_answer_its_example_is_never_ready(start: Start, save: Save, tmp_path: Path) -> None:
    """The example is asked as the very request it is; what went wrong is in the reason."""
    features, target = load_diabetes(return_X_y=True)
    folder = save(tmp_path / "other", LinearRegression().fit(features, target))
    client = start(model_dir=folder)
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert "fitted on 10 columns" in answer.json()["reason"]
    assert client.post("/predict", json={"features": ROW}).status_code == 503


def test_types_beyond_the_list_are_not_loaded_when_serving_either(start: Start, save: Save, tmp_path: Path) -> None:
    """The serving process holds to the safe types and the operator's list by itself."""
    estimator = make_pipeline(FunctionTransformer(shutil.which), LinearRegression())
    client = start(model_dir=save(tmp_path / "other", estimator))
    assert "UntrustedTypesFoundException" in client.get("/health/ready").json()["reason"]


def test_draining_says_not_ready_and_still_serves(client: Client) -> None:
    """Connections are closed after their answer; nothing is refused."""
    client.process.pod.readiness.reached(Phase.DRAINING, "stopping")
    client.process.pod.readiness.reached(Phase.READY, "late")
    assert client.get("/health/ready").status_code == 503
    assert client.get("/health/live").status_code == 200
    answer = client.post("/predict", json={"features": ROW})
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


# --- limits per client


def test_a_client_that_asks_too_often_is_told_when_to_come_again(start: Start) -> None:
    """In the shape of each dialect, whatever it asks next; others are answered, and the model is not blamed."""
    client = start(rate_limit=0.01, rate_limit_burst=2, rate_limit_header="X-Team")
    key = {"X-Team": "a"}
    first, rows = [client.post("/predict", json={"features": ROW}, headers=key) for _ in range(2)], [ROW]
    assert [answer.status_code for answer in first] == [200, 200]
    tensor = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": ROW}
    asked = {"/predict": {}, "/invocations": {"instances": rows}, "/v2/models/iris/infer": {"inputs": [tensor]}}
    limited = {path: client.post(path, json=body, headers=key) for path, body in asked.items()}
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in limited.values()} == {(429, "100")}
    assert limited["/predict"].json()["detail"].startswith("one client may send 0.01 requests a second")
    assert limited["/invocations"].json()["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert "error" in limited["/v2/models/iris/infer"].json()
    assert client.post("/predict", json={"features": ROW}).status_code == 200
    assert client.post("/predict", json={"features": ROW}, headers={"X-Team": "b"}).status_code == 200
    assert client.value("ml_requests_limited_total") == 3
    assert client.value("ml_requests_started_total") == client.value("ml_requests_total", code="200") == 4


def test_probes_take_no_token_of_a_client_and_have_few_of_their_own(start: Start) -> None:
    """A rollout does not wait behind callers without a key; and the header of probes is no way around the limit."""
    client = start(rate_limit=0.01, rate_limit_burst=1)
    probe = {"x-sluice-probe": "smoke", "X-API-Key": "a"}
    answers = [client.post("/predict", json={"features": ROW}, headers=probe) for _ in range(PROBE_BURST)]
    assert {answer.status_code for answer in answers} == {200}
    for key in ("a", "b"):
        more = client.post("/predict", json={"features": ROW}, headers=probe | {"X-API-Key": key})
        assert (more.status_code, more.headers["retry-after"]) == (429, "1")
        assert more.json()["detail"].startswith("all probes together may send 1 requests a second")
    assert client.value("ml_requests_limited_total") == 0
    assert client.post("/predict", json={"features": ROW}).status_code == 200
    assert client.post("/predict", json={"features": ROW}).status_code == 429


# --- feedback


def predicted(client: Client, features: Any, entry: str = "gateway") -> str:
    return str(client.post("/predict", entry, json={"features": features}).json()["prediction_id"])


def feedback(client: Client, identifier: str, **labels: Any) -> Any:
    return client.post("/feedback", json={"prediction_id": identifier, **labels})


def test_labels_count_for_the_entry_that_predicted(client: Client) -> None:
    """A right one and a wrong one, whatever port the label came through."""
    assert feedback(client, predicted(client, ROW, "cluster"), label=0).json() == counted(1, 1, 0)
    assert feedback(client, predicted(client, ROW, "gateway"), label=1).json() == counted(1, 0, 0)
    assert client.value("ml_feedback_total", "cluster") == 1
    assert client.value("ml_feedback_correct_total", "cluster") == 1
    assert client.value("ml_feedback_total", "gateway") == 1
    assert client.value("ml_feedback_correct_total", "gateway") == 0


def counted(total: int, correct: int, repeats: int) -> dict[str, int]:
    return {"counted": total, "correct": correct, "repeats": repeats}


def test_rows_are_labelled_one_by_one(client: Client) -> None:
    """Null leaves a row open; it can be labelled later, the others only repeated."""
    identifier = predicted(client, [ROW, ROW, [6, 3, 5, 2]])
    assert feedback(client, identifier, labels=[0, None, 0]).json() == counted(2, 1, 0)
    assert feedback(client, identifier, labels=[0, 0, 2]).json() == counted(1, 1, 2)
    assert client.value("ml_feedback_total") == 3
    assert client.value("ml_feedback_repeats_total") == 2


def test_any_pod_counts_for_the_revision_that_predicted(start: Start) -> None:
    """A label that lands on the other revision's pod counts for its own revision."""
    stable, canary = start(), start(revision="zzzzzzzzzz", model_version="4")
    assert feedback(stable, predicted(canary, ROW), label=0).json() == counted(1, 1, 0)
    assert stable.value("ml_feedback_total", revision="zzzzzzzzzz") == 1
    assert stable.value("ml_feedback_total") == 0


def test_the_previous_key_is_believed(start: Start) -> None:
    """A prediction from before the key was changed can still be labelled; from an unknown key it cannot."""
    identifier = predicted(start(keyring=Keyring(PREVIOUS)), ROW)
    assert feedback(start(keyring=Keyring(CURRENT, PREVIOUS)), identifier, label=0).status_code == 200
    forged = feedback(start(keyring=Keyring(CURRENT)), identifier, label=0)
    assert forged.status_code == 422
    assert forged.json()["detail"][0]["loc"] == ["body", "prediction_id"]


@pytest.mark.parametrize(
    ("labels", "location"),
    [
        ({}, ["body", "label"]),
        ({"label": 0, "labels": [0]}, ["body", "label"]),
        ({"labels": [0, 1]}, ["body", "labels"]),
        ({"label": "setosa"}, ["body", "label"]),
        ({"label": "0_0"}, ["body", "label"]),
        ({"label": "\u0660"}, ["body", "label"]),
        ({"label": "x" * 3000}, ["body", "label"]),
        ({"label": 10**3000}, ["body", "label"]),
        ({"labels": ["setosa"]}, ["body", "labels", 0]),
        ({"labels": [[]]}, ["body", "labels", 0]),
        ({f"k{number}": 1 for number in range(300)}, ["body", "k0"]),
        ({"label": 0, "lable": 1}, ["body", "lable"]),
        ({"labels": [[]] * 400}, ["body", "labels"]),
    ],
)
def test_labels_that_do_not_fit_are_unprocessable(client: Client, labels: dict[str, Any], location: list[str]) -> None:
    """Neither, both, too many, of the wrong kind, misspelt: the field is named and nothing is counted."""
    answer = feedback(client, predicted(client, ROW), **labels)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][: len(location)] == location
    assert len(answer.content) < 500, "what was sent is not sent back"
    assert client.value("ml_feedback_total") == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"prediction_id": "x", "label": NaN}', "JSON, which has no NaN"),
        (b'{"prediction_id": "x", "label": "\\ud800"}', "not JSON"),
        (b'{"prediction_id": "x", "label": "\xff"}', "not UTF-8"),
        (b'{"prediction_id": "x", "label": 1e400}', "out of range"),
        (b"[" * 4000, "Expected `object`"),
        ('{"a` - at `$.²": 1}'.encode(), "unknown field"),
        (b"", "not JSON"),
    ],
)
def test_what_is_no_label_in_json_is_unprocessable(client: Client, body: bytes, words: str) -> None:
    """Python's own JSON reads some of it."""
    answer = client.post("/feedback", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert words in answer.json()["detail"][0]["msg"]


def test_feedback_in_another_format_is_told_which(client: Client) -> None:
    """As a prediction in another format is."""
    assert client.post("/feedback", content=b"x=1", headers={"content-type": "text/plain"}).status_code == 415


def test_mlflow_s_protocol_gives_the_same_predictions(client: Client) -> None:
    """They are counted as others, and take feedback."""
    plain = client.post("/predict", json={"features": [ROW, ROW]}).json()
    answer = client.post("/invocations", json={"dataframe_split": {"data": [ROW, ROW]}})
    assert answer.status_code == 200
    assert answer.json()["predictions"] == plain["predictions"]
    assert feedback(client, answer.json()["prediction_id"], labels=[0, 0]).json() == counted(2, 2, 0)
    assert client.post("/invocations", content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    assert client.post("/invocations", json={"instances": [[1]]}).json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert [client.value("ml_requests_total", code=code) for code in ("200", "400", "415")] == [2, 1, 1]


def test_mlflow_s_clients_find_out_whether_it_is_ready(start: Start) -> None:
    """By the paths that MLflow's own server has."""
    assert start().get("/ping").status_code == 200
    assert start(load=False).get("/ping").status_code == 503
    assert re.fullmatch(r"3\.\d+\.\d+", start().get("/version").text)


def test_the_page_of_the_api_needs_no_internet(client: Client) -> None:
    """Clusters often have none, and a browser must not run what somebody else serves."""
    page = client.get("/docs").text
    scripts = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(scripts) >= 2
    for path in scripts:
        assert path.startswith("/"), path
        assert client.get(path).status_code == 200


def test_head_is_answered_as_get_without_the_body(client: Client) -> None:
    """Load balancers ask so."""
    for path in ("/health/live", "/health/ready", "/health", "/metadata"):
        answer = client.request("HEAD", path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == client.get(path).headers["content-length"]


def test_an_expired_id_is_unprocessable(start: Start) -> None:
    """The answer says how old it is and what the limit is."""
    client = start(feedback_max_age=-1.0)
    answer = feedback(client, predicted(client, ROW), label=0)
    assert answer.status_code == 422
    assert "is the limit" in answer.json()["detail"][0]["msg"]


def test_a_label_for_an_unknown_or_expired_prediction_counts_nothing(start: Start) -> None:
    """It names the field, and moves no verdict."""
    client, other = start(feedback_max_age=-1.0), start(keyring=Keyring(b"o" * 32))
    expired, foreign = predicted(client, ROW), predicted(other, ROW)
    for identifier in ("", "x", "a" * 1000, expired, foreign):
        refused = feedback(client, identifier, label=0)
        assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "prediction_id"])
    for counter in ("ml_feedback_total", "ml_feedback_correct_total", "ml_feedback_repeats_total"):
        assert client.value(counter) == 0


def test_more_than_64_rows_take_no_feedback(client: Client) -> None:
    """The id is null, and sending it back says why."""
    assert client.post("/predict", json={"features": [ROW] * 64}).json()["prediction_id"]
    answer = client.post("/predict", json={"features": [ROW] * 65})
    assert (answer.status_code, answer.json()["prediction_id"]) == (200, None)
    refused = client.post("/feedback", json={"prediction_id": None, "label": 0})
    assert refused.status_code == 422
    assert "64 rows" in refused.text


def test_without_a_key_feedback_is_off(start: Start) -> None:
    """Predictions go on with a null id, and /feedback says what is missing."""
    client = start(keyring=None)
    assert client.post("/predict", json={"features": ROW}).json()["prediction_id"] is None
    answer = feedback(client, "x", label=0)
    assert answer.status_code == 503
    assert "/etc/sluice/feedback/key" in answer.text
