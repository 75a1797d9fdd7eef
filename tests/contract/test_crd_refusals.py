"""What the API server refuses, and the message that people get."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.contract.conftest import Kubectl

REFUSED = 'The ModelDeployment "iris" is invalid: '
DURATION = "not a duration; write whole numbers with units, largest first, such as 500ms, 30s, 5m or 1h30m"
SHARE = (
    'not a share; write a percentage between 0% and 100%, such as "0.1%", or a fraction between 0 and 1, such as "0.70"'
)
WEIGHT = (
    "a canary's weight is 1 to 99 percent; after the last step the version is promoted to 100 without a step of its own"
)
REPLICAS = "no replicas serve nobody; write 1 or more, or delete the ModelDeployment to stop serving"
WHICH_VERSION = (
    "does not say which version of which model; write models:/<name>@<alias>, models:/<name>/<version>,"
    " models:/<name>/latest or models:/m-<id>"
)
NO_REGISTRY = (
    "not in MLflow's registry; write models:/<name>@<alias>, models:/<name>/<version> or runs:/<run id>/<path>"
)
NO_MODEL_OF_RUN = "does not say which model of the run; write runs:/<run id>/<path>, such as runs:/<run id>/model"
NOT_AN_ALIAS = (
    'not a possible alias in MLflow; write letters, digits, "_" and "-", such as champion, but not latest or v1'
)
PASSWORD_IN_ADDRESS = (
    "holds a user or a password, which everybody could read here; write them into the Secret that credentialsSecret"
    " names"
)
NO_SECRET = "not the name of a Secret; write one such as mlflow-credentials"
NO_ADDRESS = (
    "not the address of an MLflow server; write scheme, host, and port or path, such as http://mlflow.mlflow.svc:5000"
)
NO_PROMETHEUS = "not an address; write scheme, host, and port or path, such as https://prometheus.team-a.svc:9090"
PATH = 'not a path; write words of a-z, 0-9, "-" and "_", each after a "/", such as /iris or /teams/iris'
HOST = 'not a host name; write one in lower case without scheme, port, path or "*", such as iris.example.com'
NAME = (
    'not a DNS-1035 label; start with a lower-case letter, go on with lower-case letters, digits and "-",'
    " and end with a letter or digit, such as iris-v2"
)
RATIO = 'not a ratio; write how many times as much, more than 1 and at most 80, such as "1.5"'
OBJECTIVE_NAME = 'not a name for an objective; write lower-case letters, digits and "-", such as p95'
QUANTILE = 'not a quantile; write a fraction between 0 and 1, such as "0.95" for the 95th percentile'
WEIGHTS_RISE = (
    "spec.rollout.canary.steps: Invalid value: weights must rise; write each step's higher than the one before,"
    " such as 5, 25, 50"
)


def put(manifest: dict[str, Any], path: str, value: Any) -> None:
    """Sets the field at a path such as `spec.objectives[0].name`. The value None removes it."""
    node: Any = manifest
    *parents, last = [int(part) if part.isdigit() else part for part in re.findall(r"\w+", path)]
    for part in parents:
        node = node[part] if isinstance(part, int) else node.setdefault(part, {})
    if value is None:
        del node[last]
    else:
        node[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec.rollout.canary.steps[1].weight", 100, WEIGHT),
        ("spec.rollout.canary.steps[0].weight", 0, WEIGHT),
        ("spec.rollout.canary.steps[0].minRequests", 0, "a step that nobody has used cannot pass; write 1 or more"),
        ("spec.rollout.canary.steps[0].minDuration", "5 s", DURATION),
        ("spec.server.replicas", 0, REPLICAS),
        ("spec.rollout.deadline", "soon", DURATION),
        ("spec.rollout.deadline", "10", DURATION),
        ("spec.rollout.deadline", "-5m", DURATION),
        ("spec.rollout.deadline", "1.5h", DURATION),
        ("spec.rollout.deadline", "5m1h", DURATION),
        ("spec.rollout.deadline", "2d", DURATION),
        ("spec.rollout.scaleDownDelay", "", DURATION),
        ("spec.rollout.watchAfterPromotion", "1 m", DURATION),
        ("spec.rollout.progressDeadline", "0s", "too short; write at least 1s"),
        ("spec.model.pollInterval", "500ms", "too short; write at least 1s"),
        ("spec.objectives[1].latency.max", "fast", DURATION),
        ("spec.objectives[1].latency.max", "0ms", "no request takes no time; write a latency above 0, such as 200ms"),
        ("spec.objectives[1].latency.quantile", "95", QUANTILE),
        ("spec.objectives[0].errorRate.max", "5", SHARE),
        ("spec.objectives[0].errorRate.max", "100%", SHARE),
        ("spec.objectives[0].errorRate.max", "0.0%", SHARE),
        ("spec.objectives[2].accuracy.min", "1.0", SHARE),
        ("spec.objectives[0].errorRate.maxRatio", "1", RATIO),
        ("spec.objectives[0].errorRate.maxRatio", "100", RATIO),
        ("spec.objectives[1].latency.maxRatio", "50%", RATIO),
        ("spec.objectives[2].accuracy.maxDrop", "2", SHARE),
        ("spec.confidence.falseRollback", "0", SHARE),
        ("spec.confidence.badPromotion", "5", SHARE),
        ("spec.objectives[0].name", "Error rate", OBJECTIVE_NAME),
        ("spec.model.uri", "models:/iris", WHICH_VERSION),
        ("spec.model.uri", "models:/iris@", WHICH_VERSION),
        ("spec.model.uri", "models:/iris/3/x", WHICH_VERSION),
        ("spec.model.uri", "models://iris/3", WHICH_VERSION),
        ("spec.model.uri", "s3://models/iris", NO_REGISTRY),
        ("spec.model.uri", "", NO_REGISTRY),
        (
            "spec.model.uri",
            "models:/iris/champion",
            '"champion" is neither a version number nor latest nor a stage; did you mean models:/iris@champion?',
        ),
        ("spec.model.onPromote.setAlias", "latest", NOT_AN_ALIAS),
        ("spec.model.onPromote.setAlias", "v3", NOT_AN_ALIAS),
        ("spec.model.registry.trackingURI", "mlflow:5000", NO_ADDRESS),
        ("spec.model.registry.trackingURI", "https://ada:s3cret@mlflow.example", PASSWORD_IN_ADDRESS),
        ("spec.model.registry.credentialsSecret", "others/secret", NO_SECRET),
        ("spec.model.registry.artifactSecret", "others/secret", NO_SECRET),
        (
            "spec.server.image",
            "a b",
            "not an image; write one such as registry.example/sluice-server:1, or leave the field out",
        ),
        ("spec.prometheus.url", "prometheus:9090", NO_PROMETHEUS),
        ("spec.prometheus.url", "https://prometheus/?token=x", NO_PROMETHEUS),
        ("spec.prometheus.url", "https://prometheus:", NO_PROMETHEUS),
        (
            "spec.prometheus.url",
            "https://user:password@prometheus:9090",
            "holds a user or a password, which everybody could read here; write them into the Secret that"
            " credentialsSecret names",
        ),
        ("spec.traffic.ingress.host", "http://iris", HOST),
        ("spec.traffic.ingress.host", "*.example.com", HOST),
        *(
            ("spec.traffic.ingress.path", bad, PATH)
            for bad in ("iris", "/iris/", "/Iris", "/a//b", "/iris(.*)", "/a.b", "")
        ),
    ],
)
def test_a_bad_value_is_refused_and_the_message_says_what_to_write(
    kubectl: Kubectl, iris: dict[str, Any], path: str, value: Any, message: str
) -> None:
    """The message has the field, the value and that sentence, and nothing else."""
    put(iris, path, value)
    assert kubectl.refuses(iris) == f"{REFUSED}{path}: Invalid value: {json.dumps(value)}: {message}"


def test_a_negative_size_is_refused_twice(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """The API server has a rule of its own for the field of the scale subresource; ours says what to write."""
    put(iris, "spec.server.replicas", -1)
    refused = kubectl.refuses(iris)
    assert "* .spec.server.replicas: Invalid value: -1: should be a non-negative integer" in refused
    assert f"* spec.server.replicas: Invalid value: -1: {REPLICAS}" in refused


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "spec.objectives[0]",
            {"name": "trained", "accuracy": {"source": "Training", "min": "0.7"}, "onFail": "Hold"},
            "spec.objectives[0].onFail: Invalid value: a hold-out is judged before there is a rollout that could pause;"
            " write onFail Rollback, or dryRun true to see it only",
        ),
        ("spec.rollout.canary.steps[1].weight", 10, WEIGHTS_RISE),
        ("spec.rollout.canary.steps[1].weight", 5, WEIGHTS_RISE),
        (
            "spec.objectives[0].errorRate",
            None,
            'spec.objectives[0]: Invalid value: objective "errors" must hold exactly one of errorRate,'
            " refusals, latency, accuracy and query; it holds none",
        ),
        (
            "spec.objectives[1].errorRate",
            {"max": "1%"},
            'spec.objectives[1]: Invalid value: objective "latency" must hold exactly one of errorRate,'
            " refusals, latency, accuracy and query; it holds more",
        ),
        (
            "spec.objectives[2].refusals",
            {"maxRatio": "2"},
            'spec.objectives[2]: Invalid value: objective "accuracy" must hold exactly one of errorRate,'
            " refusals, latency, accuracy and query; it holds more",
        ),
        (
            "spec.objectives[0].errorRate",
            {},
            "spec.objectives[0].errorRate: Invalid value: an error rate needs something to be compared with; write max,"
            ' such as "0.1%", or maxRatio, such as "2", to compare with the stable version, or both',
        ),
        (
            "spec.objectives[2].accuracy.min",
            None,
            "spec.objectives[2].accuracy: Invalid value: an accuracy needs something to be compared with; write min,"
            ' such as "0.70", or maxDrop, such as "0.02", to compare with the stable version, or both',
        ),
        (
            "spec.objectives[2]",
            {"name": "revenue", "query": {"expr": "sum(revenue)"}},
            "spec.objectives[2].query: Invalid value: a query needs something to be compared with; write min, max or"
            ' both, such as "10"',
        ),
        (
            "spec.objectives[2]",
            {"name": "revenue", "query": {"expr": "sum(revenue)", "min": "10", "max": "9"}},
            "spec.objectives[2].query: Invalid value: no number is between these; write a min that is not above max",
        ),
        (
            "spec.objectives[2]",
            {"name": "revenue", "query": {"expr": "sum(revenue)", "min": "a lot"}},
            'spec.objectives[2].query.min: Invalid value: "a lot": not a number; write it in digits, such as "10" or'
            ' "-0.5"',
        ),
        (
            "spec.objectives[2].accuracy",
            {"source": "Training"},
            "spec.objectives[2].accuracy: Invalid value: an accuracy needs something to be compared with; write min,"
            ' such as "0.70", or maxDrop, such as "0.02", to compare with the stable version, or both',
        ),
        (
            "spec.model.uri",
            "models:/iris@champion",
            'spec.model.onPromote.setAlias: Invalid value: setAlias "champion" is the alias that model.uri follows, so'
            " a promotion would start the next rollout; follow one alias and set another, such as uri"
            " models:/<name>@challenger and setAlias champion",
        ),
        (
            "spec.model.uri",
            "models:/m-0123456789abcdef",
            'spec.model.onPromote: Invalid value: "models:/m-0123456789abcdef" names no registered model whose alias'
            " could be set; leave onPromote out, or write model.uri as models:/<name>@<alias> or"
            " models:/<name>/<version>",
        ),
    ],
)
def test_a_bad_combination_is_refused_where_it_can_be_corrected(
    kubectl: Kubectl, iris: dict[str, Any], path: str, value: Any, message: str
) -> None:
    """Each field by itself would be right; the message says why they do not fit together."""
    put(iris, path, value)
    assert kubectl.refuses(iris) == REFUSED + message


@pytest.mark.parametrize("on_promote", [{}, {"setAlias": "best", "setStage": "Production"}])
def test_a_promotion_moves_an_alias_or_a_stage(
    kubectl: Kubectl, iris: dict[str, Any], on_promote: dict[str, str]
) -> None:
    """Not both, and one of them."""
    iris["spec"]["model"]["onPromote"] = on_promote
    one = "moves one thing; write either setAlias, such as champion, or setStage, such as Production"
    assert f"spec.model.onPromote: Invalid value: {one}" in kubectl.refuses(iris)


@pytest.mark.parametrize("followed", ["Staging", "none"])
def test_a_stage_is_not_followed_and_set(kubectl: Kubectl, iris: dict[str, Any], followed: str) -> None:
    """The version would leave the stage that is followed, and the next older one in it would be rolled out."""
    iris["spec"]["model"] |= {"uri": f"models:/iris/{followed}", "onPromote": {"setStage": "Production"}}
    assert kubectl.refuses(iris) == (
        f'{REFUSED}spec.model.onPromote.setStage: Invalid value: "models:/iris/{followed}" follows a stage, and a'
        " version has one stage only, so a promotion would take it out of that; follow an alias, such as"
        " models:/<name>@challenger, or models:/<name>/latest"
    )


@pytest.mark.parametrize("stage", ["Staging", "Production"])
def test_a_stage_is_set_where_an_alias_or_latest_is_followed(
    kubectl: Kubectl, iris: dict[str, Any], stage: str
) -> None:
    """The stages that a version can be promoted to."""
    iris["spec"]["model"] |= {"uri": "models:/iris/latest", "onPromote": {"setStage": stage}}
    assert kubectl.accepts(iris)["spec"]["model"]["onPromote"] == {"setStage": stage}
    iris["spec"]["model"]["onPromote"] = {"setStage": "Archived"}
    assert 'supported values: "Staging", "Production"' in kubectl.refuses(iris)


def test_credentials_secret_must_be_the_name_of_a_secret(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """Not its namespace or its content."""
    iris["spec"]["prometheus"] = {"url": "https://prometheus:9090", "credentialsSecret": "others/secret"}
    assert kubectl.refuses(iris) == (
        f'{REFUSED}spec.prometheus.credentialsSecret: Invalid value: "others/secret": not the name of a Secret; write'
        " one such as prometheus-credentials"
    )


def test_a_run_uri_needs_the_path_of_a_model(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """A run may have logged more than one model."""
    iris["spec"]["model"] = {"uri": "runs:/0123456789abcdef"}
    assert kubectl.refuses(iris) == (
        f'{REFUSED}spec.model.uri: Invalid value: "runs:/0123456789abcdef": {NO_MODEL_OF_RUN}'
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 41, "too long; write at most 40 characters, because names of pods and Services are built from it"),
        ("iris.v2", NAME),
        ("2iris", NAME),
    ],
)
def test_a_name_that_cannot_be_part_of_other_names_is_refused(
    kubectl: Kubectl, iris: dict[str, Any], name: str, message: str
) -> None:
    """The names of pods, Services and Ingresses are built from it."""
    iris["metadata"]["name"] = name
    assert kubectl.refuses(iris) == (
        f'The ModelDeployment "{name}" is invalid: metadata.name: Invalid value: "{name}": {message}'
    )


def test_two_objectives_with_the_same_name_are_refused(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """The message has that name, and what to do."""
    iris["spec"]["objectives"][1]["name"] = "errors"
    message = kubectl.refuses(iris)
    assert 'spec.objectives[1]: Duplicate value: {"name":"errors"}' in message
    assert "spec.objectives: Invalid value: two objectives have the same name; give each a name of its own" in message


@pytest.mark.parametrize("path", ["spec.model.uri", "spec.traffic.ingress.host", "spec.prometheus.url"])
def test_fields_without_a_sensible_default_are_required(kubectl: Kubectl, iris: dict[str, Any], path: str) -> None:
    """Without them there is nothing to roll out, or no way to do it."""
    iris["spec"]["prometheus"] = {"url": "https://prometheus:9090"}
    put(iris, path, None)
    assert f"{path}: Required value" in kubectl.refuses(iris)


def test_there_is_exactly_one_kind_of_route(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """An object without any could not be reached, and two would be asked in turn."""
    http_route = {"parentRefs": [{"name": "public", "namespace": "infra"}], "host": "iris.example.com"}
    for traffic in ({}, {**iris["spec"]["traffic"], "httpRoute": http_route}):
        put(iris, "spec.traffic", traffic)
        assert "write exactly one of ingress and httpRoute" in kubectl.refuses(iris)
    put(iris, "spec.traffic", {"httpRoute": {**http_route, "parentRefs": []}})
    assert "spec.traffic.httpRoute.parentRefs: Invalid value: 0" in kubectl.refuses(iris)
    for field, bad, message in (("host", "*.example.com", HOST), ("path", "/Iris", PATH)):
        put(iris, "spec.traffic", {"httpRoute": {**http_route, field: bad}})
        assert f"spec.traffic.httpRoute.{field}: Invalid value: {json.dumps(bad)}: {message}" in kubectl.refuses(iris)
    for parent in ({"name": "A b"}, {"name": "public", "namespace": "-"}, {"name": "public", "sectionName": ""}):
        put(iris, "spec.traffic", {"httpRoute": {**http_route, "parentRefs": [parent]}})
        assert "not a name; write that of an object, such as public" in kubectl.refuses(iris)
    put(iris, "spec.traffic", {"httpRoute": http_route})
    kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(iris))


def test_there_are_1_to_20_steps(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """Automatic steps are written as no list, and not as an empty one; more than 20 steps are a mistake."""
    put(iris, "spec.rollout.canary.steps", [])
    assert "spec.rollout.canary.steps: Invalid value: 0: " in kubectl.refuses(iris)
    put(iris, "spec.rollout.canary.steps", [{"weight": weight} for weight in range(1, 22)])
    assert "spec.rollout.canary.steps: Too many: 21: must have at most 20 items" in kubectl.refuses(iris)


@pytest.mark.parametrize(
    ("path", "value", "allowed"),
    [
        ("spec.model.trust", "Everything", '"Data", "TrustedTypes", "Code"'),
        ("spec.rollout.onDeadline", "Promote", '"Hold", "Rollback", "PromoteIfClean"'),
        ("spec.objectives.2.accuracy.source", "Labels", '"Feedback", "Training"'),
        ("spec.objectives.0.judge", "Never", '"EveryStep", "BeforePromotion", "AfterPromotion"'),
    ],
)
def test_an_unknown_choice_is_refused_with_the_choices(
    kubectl: Kubectl, iris: dict[str, Any], path: str, value: str, allowed: str
) -> None:
    """The message lists them."""
    put(iris, path, value)
    assert f'Unsupported value: "{value}": supported values: {allowed}' in kubectl.refuses(iris)


@pytest.mark.parametrize("path", ["spec.policyRef", "spec.traffic.ingress.hots", "spec.model.allowSignature"])
def test_an_unknown_field_is_refused_by_name(kubectl: Kubectl, iris: dict[str, Any], path: str) -> None:
    """A misspelt field is not dropped without a message."""
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
def test_each_form_of_a_registry_uri_is_accepted(kubectl: Kubectl, iris: dict[str, Any], uri: str) -> None:
    """Stages and `latest` in lower and upper case, as MLflow accepts them."""
    iris["spec"]["model"]["uri"] = uri
    assert kubectl.accepts(iris)["spec"]["model"]["uri"] == uri


@pytest.mark.parametrize(
    "uri", ["models:/m-0123456789abcdef", "runs:/0123456789abcdef/model", "runs:/0123456789abcdef/a/b"]
)
def test_a_model_outside_the_registry_is_accepted_without_an_alias(
    kubectl: Kubectl, iris: dict[str, Any], uri: str
) -> None:
    """Such a model has no registered name, so there is no alias to move."""
    iris["spec"]["model"] = {"uri": uri}
    assert kubectl.accepts(iris)["spec"]["model"]["uri"] == uri


@pytest.mark.parametrize("duration", ["1s", "90s", "1h30m", "2h500ms", "1500ms", "1m1s1ms"])
def test_durations_are_written_as_people_write_them(kubectl: Kubectl, iris: dict[str, Any], duration: str) -> None:
    """Whole numbers with units, largest first."""
    iris["spec"]["rollout"]["deadline"] = duration
    assert kubectl.accepts(iris)["spec"]["rollout"]["deadline"] == duration


@pytest.mark.parametrize("share", ["0.1%", "5%", "99.99%", "0.001", "0.70"])
def test_shares_are_percentages_or_fractions(kubectl: Kubectl, iris: dict[str, Any], share: str) -> None:
    """They are text, so that no number is rounded."""
    iris["spec"]["objectives"][0]["errorRate"]["max"] = share
    assert kubectl.accepts(iris)["spec"]["objectives"][0]["errorRate"]["max"] == share


@pytest.mark.parametrize("limits", [{"min": "0.7"}, {"maxDrop": "0.02"}, {"min": "70%", "maxDrop": "2%"}])
@pytest.mark.parametrize("source", ["Feedback", "Training"])
def test_an_accuracy_has_a_limit_or_a_margin_or_both(
    kubectl: Kubectl, iris: dict[str, Any], source: str, limits: dict[str, str]
) -> None:
    """For both sources of labels."""
    iris["spec"]["objectives"][2]["accuracy"] = {"source": source, **limits}
    assert kubectl.accepts(iris)["spec"]["objectives"][2]["accuracy"] == {"source": source, **limits}


def test_a_variable_that_sluice_sets_is_refused(kubectl: Kubectl, iris: dict[str, Any]) -> None:
    """Another revision or other ports would tear pods, route and metrics apart. Other settings are free."""
    iris["spec"]["server"] = {"env": [{"name": "SLUICE_MAX_ROWS", "value": "5"}]}
    kubectl.accepts(iris)
    iris["spec"]["server"] = {"env": [{"name": "SLUICE_REVISION", "value": "mine"}]}
    assert kubectl.refuses(iris) == (
        f'{REFUSED}spec.server.env[0].name: Invalid value: "SLUICE_REVISION": set by Sluice itself, so that pods, route'
        " and metrics fit together; write another name"
    )
