"""`kubectl sluice doctor` with a kubectl that answers from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sluice_operator.cli.__main__ import main

KUBECTL = """#!/bin/sh
echo "$@" >> {folder}/calls
case "$*" in
  "get customresourcedefinition"*) cat {folder}/crd ;;
  "get deployments"*) cat {folder}/deployments ;;
  "get ingressclass"*) cat {folder}/class ;;
  "get gateways"*) cat {folder}/gateway ;;
  *installation.check*) cat {folder}/check; exit 1 ;;
  *installation.split*) cat {folder}/split ;;
  apply*) cat > {folder}/applied ;;
  delete*) cat > {folder}/deleted ;;
esac
"""
OPERATOR: dict[str, Any] = {
    "metadata": {"name": "sluice-operator", "namespace": "sluice-system"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app.kubernetes.io/name": "sluice-operator"}}},
    "status": {"readyReplicas": 2, "updatedReplicas": 2},
}
STUCK = {**OPERATOR, "status": {"readyReplicas": 2, "updatedReplicas": 1}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A healthy installation, but for what a test changes."""
    (tmp_path / "kubectl").write_text(KUBECTL.format(folder=tmp_path))
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "crd").write_text('{"kind": "CustomResourceDefinition"}')
    (tmp_path / "class").write_text('{"kind": "IngressClass"}')
    (tmp_path / "gateway").write_text('{"kind": "Gateway"}')
    (tmp_path / "deployments").write_text(json.dumps({"items": [OPERATOR]}))
    (tmp_path / "check").write_text("ok    an operator works\nok    MLflow answers\n")
    (tmp_path / "split").write_text("ok    the gateway divides requests\n")
    return tmp_path


def doctor(printed: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str]]:
    code = main(["doctor", *options])
    out, err = printed.readouterr()
    return code, [*out.splitlines(), *err.splitlines()]


def test_a_healthy_installation_is_all_ok(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was made for the gateway is gone afterwards."""
    code, lines = doctor(capsys)
    assert (code, len(lines), {line[:4] for line in lines}) == (0, 5, {"ok  "})
    made, removed = (json.loads((folder / name).read_text())["items"] for name in ("applied", "deleted"))
    assert made == removed
    stable, canary, plain, split = made
    assert stable["spec"]["selector"] == OPERATOR["spec"]["selector"]["matchLabels"] == canary["spec"]["selector"]
    assert stable["spec"]["ports"] != canary["spec"]["ports"]
    assert plain["spec"]["rules"][0]["host"] == split["spec"]["rules"][0]["host"]
    assert split["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"] == "50"


@pytest.mark.parametrize(
    ("file", "content", "says", "checks"),
    [
        ("crd", "", "there is no CRD", 1),
        ("deployments", json.dumps({"items": [{**OPERATOR, "status": {}}]}), "no pod of Deployment sluice-operator", 2),
        ("deployments", json.dumps({"items": [STUCK]}), "an upgrade of Deployment sluice-operator does not end", 6),
        ("check", "ok    an operator works\nFAIL  MLflow at http://x gave no answer\n", "MLflow at http://x", 5),
        ("class", "", "there is no IngressClass nginx", 5),
        ("split", "FAIL  the gateway ignores the canary\n", "the gateway ignores", 5),
    ],
)
def test_each_fault_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str, content: str, says: str, checks: int
) -> None:
    """And what can be looked at all the same is looked at."""
    (folder / file).write_text(content)
    code, lines = doctor(capsys)
    (failed,) = [line for line in lines if line.startswith("FAIL")]
    assert (code, says in failed, len(lines)) == (1, True, checks), lines


def test_without_an_operator_there_is_nothing_to_look_at(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is in another namespace, or not installed."""
    (folder / "deployments").write_text('{"items": []}')
    code, lines = doctor(capsys, "-n", "elsewhere")
    assert code == 2
    assert lines[-1] == (
        "kubectl sluice: there is no operator in namespace elsewhere: name its namespace with -n, or install it"
    )


def test_nothing_is_made_where_nobody_wants_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An administrator may not want an Ingress of ours."""
    code, lines = doctor(capsys, "--no-split")
    assert (code, len(lines)) == (0, 4)
    assert not (folder / "applied").exists()


def test_a_gateway_of_the_gateway_api_is_tried_with_an_http_route(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then no IngressClass is needed. The rules are those of a canary at half of the requests."""
    (folder / "class").write_text("")
    code, lines = doctor(capsys, "--gateway", "infra/public")
    assert (code, len(lines)) == (0, 5), lines
    *_, route = json.loads((folder / "applied").read_text())["items"]
    assert (route["kind"], route["metadata"]["namespace"]) == ("HTTPRoute", "sluice-system")
    [parent] = route["spec"]["parentRefs"]
    assert (parent["namespace"], parent["name"]) == ("infra", "public")
    assert [backend["weight"] for backend in route["spec"]["rules"][-1]["backendRefs"]] == [50, 50]


@pytest.mark.parametrize(
    ("file", "options", "says"),
    [
        ("gateway", ["--gateway", "infra/public"], "there is no Gateway infra/public: create it, or name another one"),
        ("class", [], "one of the Gateway API is named with --gateway"),
    ],
)
def test_a_gateway_that_is_not_there_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str, options: list[str], says: str
) -> None:
    """With the way to name the right one."""
    (folder / file).write_text("")
    code, lines = doctor(capsys, *options)
    assert code == 1
    assert says in lines[-1]


def test_a_gateway_has_a_namespace(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That of the operator is seldom the one."""
    with pytest.raises(SystemExit):
        doctor(capsys, "--gateway", "public")
    assert "write its namespace and name, such as infra/public" in capsys.readouterr().err
