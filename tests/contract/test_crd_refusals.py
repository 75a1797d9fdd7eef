"""What the API server refuses, and the sentence that a person reads then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.contract.conftest import Kubectl

REFUSED = 'The ModelDeployment "iris" is invalid: '
NOT_A_DURATION = "not a duration; write whole numbers with units, largest first, such as 500ms, 30s, 5m or 1h30m"
NOT_A_SHARE = (
    'not a share; write a percentage between 0% and 100%, such as "0.1%", or a fraction between 0 and 1, such as "0.70"'
)
NOT_A_NAME = (
    'not a DNS-1035 label; start with a lower-case letter, go on with lower-case letters, digits and "-", and end with a'
    " letter or digit, such as iris-v2"
)
WEIGHT_RANGE = "a canary's weight is 1 to 99 percent; after the last step the version is promoted to 100 without a step of its own"
WEIGHTS_RISE = "weights must rise; write each step's higher than the one before, such as 5, 25, 50"
WHICH_VERSION = (
    "does not say which version of which model; write models:/<name>@<alias>, models:/<name>/<version>,"
    " models:/<name>/latest or models:/m-<id>"
)
NO_REGISTRY = "not in MLflow's registry; write models:/<name>@<alias>, models:/<name>/<version> or runs:/<run id>/<path>"
HOST = 'not a host name; write one in lower case without scheme, port, path or "*", such as iris.example.com'
BAD_ALIAS = 'not a possible alias in MLflow; write letters, digits, "_" and "-", such as champion, but not latest or v1'


def put(manifest: dict[str, Any], path: str, value: Any) -> None:
    """Sets one field; a number in the path is an index, and a value of None takes the field away."""
    at: Any = manifest
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        at = at[part] if isinstance(part, int) else at.setdefault(part, {})
    if value is None:
        del at[last]
    else:
        at[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec.rollout.canary.steps.1.weight", 10, f"spec.rollout.canary.steps: Invalid value: {WEIGHTS_RISE}"),
        ("spec.rollout.canary.steps.1.weight", 5, f"spec.rollout.canary.steps: Invalid value: {WEIGHTS_RISE}"),
        ("spec.rollout.canary.steps.1.weight", 100, f"spec.rollout.canary.steps[1].weight: Invalid value: 100: {WEIGHT_RANGE}"),
        ("spec.rollout.canary.steps.0.weight", 0, f"spec.rollout.canary.steps[0].weight: Invalid value: 0: {WEIGHT_RANGE}"),
        (
            "spec.rollout.canary.steps.0.minRequests",
            0,
            "spec.rollout.canary.steps[0].minRequests: Invalid value: 0: a step that nobody has used cannot pass; write 1 or more",
        ),
        (
            "spec.server.replicas",
            0,
            "spec.server.replicas: Invalid value: 0: no replicas serve nobody; write 1 or more, or delete the"
            " ModelDeployment to stop serving",
        ),
        ("spec.rollout.deadline", "soon", f'spec.rollout.deadline: Invalid value: "soon": {NOT_A_DURATION}'),
        ("spec.rollout.deadline", "10", f'spec.rollout.deadline: Invalid value: "10": {NOT_A_DURATION}'),
        ("spec.rollout.deadline", "-5m", f'spec.rollout.deadline: Invalid value: "-5m": {NOT_A_DURATION}'),
        ("spec.rollout.deadline", "1.5h", f'spec.rollout.deadline: Invalid value: "1.5h": {NOT_A_DURATION}'),
        ("spec.rollout.deadline", "5m1h", f'spec.rollout.deadline: Invalid value: "5m1h": {NOT_A_DURATION}'),
        ("spec.rollout.deadline", "2d", f'spec.rollout.deadline: Invalid value: "2d": {NOT_A_DURATION}'),
        ("spec.rollout.scaleDownDelay", "", f'spec.rollout.scaleDownDelay: Invalid value: "": {NOT_A_DURATION}'),
        ("spec.rollout.watchAfterPromotion", "1 m", f'spec.rollout.watchAfterPromotion: Invalid value: "1 m": {NOT_A_DURATION}'),
        ("spec.model.pollInterval", "500ms", 'spec.model.pollInterval: Invalid value: "500ms": too short; write at least 1s'),
        ("spec.rollout.progressDeadline", "0s", 'spec.rollout.progressDeadline: Invalid value: "0s": too short; write at least 1s'),
        (
            "spec.rollout.canary.steps.0.minDuration",
            "5 s",
            f'spec.rollout.canary.steps[0].minDuration: Invalid value: "5 s": {NOT_A_DURATION}',
        ),
        ("spec.objectives.0.errorRate.max", "5", f'spec.objectives[0].errorRate.max: Invalid value: "5": {NOT_A_SHARE}'),
        ("spec.objectives.0.errorRate.max", "100%", f'spec.objectives[0].errorRate.max: Invalid value: "100%": {NOT_A_SHARE}'),
        ("spec.objectives.0.errorRate.max", "0.0%", f'spec.objectives[0].errorRate.max: Invalid value: "0.0%": {NOT_A_SHARE}'),
        ("spec.objectives.2.accuracy.min", "1.0", f'spec.objectives[2].accuracy.min: Invalid value: "1.0": {NOT_A_SHARE}'),
        (
            "spec.objectives.1.latency.quantile",
            "95",
            'spec.objectives[1].latency.quantile: Invalid value: "95": not a quantile; write a fraction between 0 and 1,'
            ' such as "0.95" for the 95th percentile',
        ),
        ("spec.objectives.1.latency.max", "fast", f'spec.objectives[1].latency.max: Invalid value: "fast": {NOT_A_DURATION}'),
        (
            "spec.objectives.1.latency.max",
            "0ms",
            'spec.objectives[1].latency.max: Invalid value: "0ms": no request takes no time; write a latency above 0,'
            " such as 200ms",
        ),
        (
            "spec.objectives.0.name",
            "Error rate",
            'spec.objectives[0].name: Invalid value: "Error rate": not a name for an objective; write lower-case letters,'
            ' digits and "-", such as p95',
        ),
        (
            "spec.objectives.0.errorRate",
            None,
            'spec.objectives[0]: Invalid value: objective "errors" must hold exactly one of errorRate, latency and accuracy;'
            " it holds none",
        ),
        (
            "spec.objectives.1.errorRate",
            {"max": "1%"},
            'spec.objectives[1]: Invalid value: objective "latency" must hold exactly one of errorRate, latency and accuracy;'
            " it holds more",
        ),
        (
            "spec.model.uri",
            "models:/iris/champion",
            'spec.model.uri: Invalid value: "models:/iris/champion": "champion" is neither a version number nor latest nor a'
            " stage; did you mean models:/iris@champion?",
        ),
        ("spec.model.uri", "models:/iris", f'spec.model.uri: Invalid value: "models:/iris": {WHICH_VERSION}'),
        ("spec.model.uri", "models:/iris/3/x", f'spec.model.uri: Invalid value: "models:/iris/3/x": {WHICH_VERSION}'),
        ("spec.model.uri", "models:/iris@", f'spec.model.uri: Invalid value: "models:/iris@": {WHICH_VERSION}'),
        ("spec.model.uri", "models://iris/3", f'spec.model.uri: Invalid value: "models://iris/3": {WHICH_VERSION}'),
        ("spec.model.uri", "s3://models/iris", f'spec.model.uri: Invalid value: "s3://models/iris": {NO_REGISTRY}'),
        ("spec.model.uri", "", f'spec.model.uri: Invalid value: "": {NO_REGISTRY}'),
        (
            "spec.model.uri",
            "models:/iris@champion",
            'spec.model.onPromote.setAlias: Invalid value: setAlias "champion" is the alias that model.uri follows, so a'
            " promotion would start the next rollout; follow one alias and set another, such as uri"
            " models:/<name>@challenger and setAlias champion",
        ),
        (
            "spec.model.uri",
            "models:/m-0123456789abcdef",
            'spec.model.onPromote: Invalid value: "models:/m-0123456789abcdef" names no registered model whose alias could be'
            " set; leave onPromote out, or write model.uri as models:/<name>@<alias> or models:/<name>/<version>",
        ),
        ("spec.model.onPromote.setAlias", "latest", f'spec.model.onPromote.setAlias: Invalid value: "latest": {BAD_ALIAS}'),
        ("spec.model.onPromote.setAlias", "v3", f'spec.model.onPromote.setAlias: Invalid value: "v3": {BAD_ALIAS}'),
        (
            "spec.model.registry.trackingURI",
            "mlflow:5000",
            'spec.model.registry.trackingURI: Invalid value: "mlflow:5000": not the address of an MLflow server; write it'
            " with its scheme, such as http://mlflow.mlflow.svc:5000",
        ),
        ("spec.traffic.ingress.host", "http://iris", f'spec.traffic.ingress.host: Invalid value: "http://iris": {HOST}'),
        ("spec.traffic.ingress.host", "*.example.com", f'spec.traffic.ingress.host: Invalid value: "*.example.com": {HOST}'),
        (
            "spec.traffic.ingress.path",
            "iris",
            'spec.traffic.ingress.path: Invalid value: "iris": not a path; write one that starts with "/" and has no spaces,'
            " such as /iris",
        ),
    ],
)
def test_a_bad_value_is_refused_with_the_sentence_that_says_what_to_write(
    kubectl: Kubectl, iris: dict[str, Any], path: str, value: Any, message: str
) -> None:
    """Nothing but that sentence stands behind the name of the field."""
    put(iris, path, value)
    assert kubectl.refuses(iris) == REFUSED + message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 41, "too long; write at most 40 characters, because names of pods and Services are built from it"),
        ("iris.v2", NOT_A_NAME),
        ("2iris", NOT_A_NAME),
    ],
)
def test_a_name_that_cannot_name_its_services_is_refused(
    kubectl: Kubectl, iris: dict[str, Any], name: str, message: str
) -> None:
    """Names of pods, Services and Ingresses are built from it."""
    iris["metadata"]["name"] = name
    assert kubectl.refuses(iris) == (
        f'The ModelDeployment "{name}" is invalid: metadata.name: Invalid value: "{name}": {message}'
    )


def test_two_objectives_of_one_name_are_refused(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """A person reads which name it is, and what to do."""
    iris["spec"]["objectives"][1]["name"] = "errors"
    message = kubectl.refuses(iris)
    assert 'spec.objectives[1]: Duplicate value: {"name":"errors"}' in message
    assert "spec.objectives: Invalid value: two objectives have the same name; give each a name of its own" in message


@pytest.mark.parametrize("path", ["spec.model.uri", "spec.traffic.ingress", "spec.rollout.canary.steps"])
def test_what_has_no_sensible_default_must_be_written(kubectl: Kubectl, iris: dict[str, Any], path: str) -> None:
    """Without it there is nothing to roll out, or no way to do it."""
    put(iris, path, None)
    assert f"{path}: Required value" in kubectl.refuses(iris)


def test_steps_are_at_least_one_and_at_most_twenty(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """No step is no canary; more than twenty is a mistake."""
    put(iris, "spec.rollout.canary.steps", [])
    assert "spec.rollout.canary.steps: Invalid value: 0: " in kubectl.refuses(iris)
    put(iris, "spec.rollout.canary.steps", [{"weight": weight} for weight in range(1, 22)])
    assert "spec.rollout.canary.steps: Too many: 21: must have at most 20 items" in kubectl.refuses(iris)


@pytest.mark.parametrize(
    ("path", "value", "allowed"),
    [
        ("spec.model.trust", "Everything", '"Data", "TrustedTypes", "Code"'),
        ("spec.rollout.onDeadline", "Promote", '"Hold", "Rollback"'),
        ("spec.objectives.2.accuracy.source", "Training", '"Feedback"'),
        ("spec.objectives.0.judge", "Never", '"EveryStep", "BeforePromotion", "AfterPromotion"'),
    ],
)
def test_an_unknown_choice_is_refused_with_the_choices(
    kubectl: Kubectl, iris: dict[str, Any], path: str, value: str, allowed: str
) -> None:
    """The message lists what may be written."""
    put(iris, path, value)
    assert f'Unsupported value: "{value}": supported values: {allowed}' in kubectl.refuses(iris)


@pytest.mark.parametrize("path", ["spec.policyRef", "spec.traffic.ingress.hots", "spec.model.allowSignatureChange"])
def test_an_unknown_field_is_refused_by_name(kubectl: Kubectl, iris: dict[str, Any], path: str) -> None:
    """A misspelt field is not silently dropped."""
    put(iris, path, "x")
    assert f'strict decoding error: unknown field "{path}"' in kubectl.refuses(iris)


@pytest.mark.parametrize(
    "uri",
    [
        "models:/iris@challenger",
        "models:/iris/3",
        "models:/iris/latest",
        "models:/iris/Latest",
        "models:/iris/Staging",
        "models:/iris/production",
        "models:/iris/ARCHIVED",
        "models:/iris/None",
        "models:/fraud detection@challenger",
    ],
)
def test_every_form_of_the_registry_is_accepted(kubectl: Kubectl, iris: dict[str, Any], uri: str) -> None:
    """Stages and latest in any case, as MLflow reads them."""
    iris["spec"]["model"]["uri"] = uri
    assert kubectl.accepts(iris)["spec"]["model"]["uri"] == uri


@pytest.mark.parametrize("uri", ["models:/m-0123456789abcdef", "runs:/0123456789abcdef/model", "runs:/0123456789abcdef/a/b"])
def test_a_model_outside_the_registry_is_accepted_without_an_alias(
    kubectl: Kubectl, iris: dict[str, Any], uri: str
) -> None:
    """Models by id and models of a run have no registered name, so there is no alias to move."""
    iris["spec"]["model"] = {"uri": uri}
    assert kubectl.accepts(iris)["spec"]["model"]["uri"] == uri


@pytest.mark.parametrize("duration", ["1s", "90s", "1h30m", "2h500ms", "1500ms", "1m1s1ms"])
def test_durations_are_written_as_people_write_them(kubectl: Kubectl, iris: dict[str, Any], duration: str) -> None:
    """Whole numbers with units, largest first."""
    iris["spec"]["rollout"]["deadline"] = duration
    assert kubectl.accepts(iris)["spec"]["rollout"]["deadline"] == duration


@pytest.mark.parametrize("share", ["0.1%", "5%", "99.99%", "0.001", "0.70"])
def test_shares_are_percentages_or_fractions(kubectl: Kubectl, iris: dict[str, Any], share: str) -> None:
    """Quoted text, so that no float is rounded on the way."""
    iris["spec"]["objectives"][0]["errorRate"]["max"] = share
    assert kubectl.accepts(iris)["spec"]["objectives"][0]["errorRate"]["max"] == share
