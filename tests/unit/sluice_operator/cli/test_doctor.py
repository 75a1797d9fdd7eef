"""`kubectl sluice doctor` with a kubectl that answers from files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sluice_operator.cli import cluster
from sluice_operator.cli.__main__ import main
from sluice_operator.cli.cluster import CommandError

KUBECTL = """#!/bin/sh
echo "$@" >> {folder}/calls
case "$*" in
  "get customresourcedefinition"*) cat {folder}/crd.err >&2 2>/dev/null && exit 1; cat {folder}/crd ;;
  "get deployments"*) cat {folder}/deployments ;;
  "get ingressclass"*) cat {folder}/class ;;
  "get gateways"*) cat {folder}/gateway ;;
  "get httproutes"*) cat {folder}/route ;;
  "get pods"*) cat {folder}/pods ;;
  exec*) kind=${{*##*installation.}}; kind=${{kind%% *}}; cat {folder}/$kind; cat {folder}/$kind.err >&2 2>/dev/null
    exit $(cat {folder}/$kind.code 2>/dev/null || echo 0) ;;
  "auth can-i $(cat {folder}/forbidden 2>/dev/null || echo nothing)"*) echo no; exit 1 ;;
  create*) cat > {folder}/created; cat {folder}/create.err >&2 2>/dev/null && exit 1 || exit 0 ;;
  delete*) cat > {folder}/deleted; cat {folder}/delete.err >&2 2>/dev/null && exit 1 || exit 0 ;;
esac
"""
OPERATOR: dict[str, Any] = {
    "metadata": {"name": "sluice-operator", "namespace": "sluice-system"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app.kubernetes.io/name": "sluice-operator"}}},
    "status": {"readyReplicas": 2, "updatedReplicas": 2},
}


def upgrading(replicas: int, state: str, reason: str) -> dict[str, Any]:
    """As a Deployment looks while a pod of its new version does not get ready, and the old ones work."""
    progressing = {"type": "Progressing", "status": state, "reason": reason, "message": "ReplicaSet has timed out"}
    counts = {"readyReplicas": replicas, "updatedReplicas": 1, "replicas": replicas + 1}
    return {
        **OPERATOR,
        "spec": {**OPERATOR["spec"], "replicas": replicas},
        "status": {**counts, "conditions": [progressing]},
    }


def a_pod(name: str, replica_set: str, *, ready: str = "True", created: str = "2026-11-01") -> dict[str, Any]:
    """With the labels that both installs of a namespace may have."""
    return {
        "metadata": {
            "name": name,
            "labels": {"pod-template-hash": replica_set.rpartition("-")[2]},
            "ownerReferences": [{"kind": "ReplicaSet", "name": replica_set}],
            "creationTimestamp": created,
        },
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


PODS = [
    a_pod("sluice-operator-b-7c-x", "sluice-operator-b-7c", created="2026-11-05"),
    a_pod("sluice-operator-5d-old", "sluice-operator-5d"),
    a_pod("sluice-operator-5d-new", "sluice-operator-5d", created="2026-11-02"),
    a_pod("sluice-operator-9f-bad", "sluice-operator-9f", ready="False", created="2026-11-03"),
]


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
    (tmp_path / "pods").write_text(json.dumps({"items": PODS}))
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
    made, removed = (json.loads((folder / name).read_text())["items"] for name in ("created", "deleted"))
    assert made == removed
    assert "exec --namespace=sluice-system sluice-operator-5d-new --" in (folder / "calls").read_text()
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
        ("check", "ok    an operator works\nFAIL  MLflow at http://x gave no answer\n", "MLflow at http://x", 5),
        ("check.code", "137", "in pod sluice-operator-5d-new did not come to its end (exit code 137)", 6),
        ("check.code", "1", "did not come to its end (exit code 1)", 6),
        ("split.code", "1", "installation.split", 6),
        ("class", "", "there is no IngressClass nginx", 5),
        ("split", "FAIL  the gateway ignores the canary\n", "the gateway ignores", 5),
    ],
)
def test_each_fault_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str, content: str, says: str, checks: int
) -> None:
    """And what can be looked at all the same is looked at."""
    (folder / file).write_text(content)
    if file in ("check", "split"):
        (folder / f"{file}.code").write_text("1")
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
    assert not (folder / "created").exists()


@pytest.mark.parametrize("replicas", [1, 2])
def test_an_upgrade_whose_deadline_is_over_is_stuck(
    folder: Path, capsys: pytest.CaptureFixture[str], replicas: int
) -> None:
    """With one replica, too: one pod of the new version is there, and the old one works."""
    stuck = upgrading(replicas, "False", "ProgressDeadlineExceeded")
    (folder / "deployments").write_text(json.dumps({"items": [stuck]}))
    code, lines = doctor(capsys)
    (failed,) = [line for line in lines if line.startswith("FAIL")]
    assert code == 1
    assert "an upgrade of Deployment sluice-operator does not end" in failed
    assert "ReplicaSet has timed out" in failed
    assert len(lines) == 6


@pytest.mark.parametrize("replicas", [1, 2])
def test_an_upgrade_that_has_just_begun_is_no_fault(
    folder: Path, capsys: pytest.CaptureFixture[str], replicas: int
) -> None:
    """The Deployment's own deadline says when it is one."""
    (folder / "deployments").write_text(json.dumps({"items": [upgrading(replicas, "True", "ReplicaSetUpdated")]}))
    code, lines = doctor(capsys)
    assert code == 0
    assert lines[2].startswith("ok    an upgrade of Deployment sluice-operator is under way")


def test_what_fails_for_one_deployment_ends_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each install of the namespace is looked at, in a pod of its own."""
    other = {**OPERATOR, "metadata": {"name": "sluice-operator-b", "namespace": "sluice-system"}}
    gone = {**OPERATOR, "metadata": {"name": "sluice-operator-c", "namespace": "sluice-system"}}
    (folder / "deployments").write_text(json.dumps({"items": [gone, other]}))
    code, lines = doctor(capsys)
    assert (code, len(lines)) == (1, 1 + 3 + 4)
    assert lines[2].startswith("FAIL  sluice-operator-c: none of its pods is ready any more")
    assert [line for line in lines[4:] if line.startswith("FAIL")] == []
    assert "exec --namespace=sluice-system sluice-operator-b-7c-x --" in (folder / "calls").read_text()


def test_who_may_not_remove_what_is_made_makes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing would be left to somebody else."""
    (folder / "forbidden").write_text("delete ingresses.networking.k8s.io")
    code, lines = doctor(capsys)
    assert code == 1
    assert lines[-1].startswith("FAIL  the gateway is not tried: you may not delete ingresses.networking.k8s.io in")
    assert "--no-split" in lines[-1]
    assert not (folder / "created").exists()


def test_what_cannot_be_made_is_not_hidden_by_what_cannot_be_removed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first error is the cause; the second one says what is left, and how to remove it."""
    (folder / "create.err").write_text("admission webhook denied the request")
    (folder / "delete.err").write_text("the server was not able to answer")
    code, lines = doctor(capsys)
    assert code == 1
    made, removed = lines[-2:]
    assert "the gateway cannot be tried: kubectl create: admission webhook denied the request" in made
    assert "the server was not able to answer" in removed
    names = [each["metadata"]["name"] for each in json.loads((folder / "created").read_text())["items"]]
    assert f"kubectl delete -n sluice-system --ignore-not-found service/{names[0]} service/{names[1]}" in removed


def test_two_people_who_ask_at_once_make_objects_of_their_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And nobody's object of the same name is written over."""
    names = []
    for _ in range(2):
        doctor(capsys)
        names.append({each["metadata"]["name"] for each in json.loads((folder / "created").read_text())["items"]})
    assert not names[0] & names[1]


def test_a_gateway_of_the_gateway_api_is_tried_with_an_http_route(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then no IngressClass is needed. The rules are those of a canary at half of the requests."""
    (folder / "class").write_text("")
    code, lines = doctor(capsys, "--gateway", "infra/public")
    assert (code, len(lines)) == (0, 5), lines
    *_, route = json.loads((folder / "created").read_text())["items"]
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


@pytest.mark.parametrize(("sent", "code"), [("TERM", 143), ("INT", 130)])
def test_what_is_made_is_removed_when_doctor_is_ended(folder: Path, sent: str, code: int) -> None:
    """By `timeout`, or by Ctrl-C."""
    kubectl = (folder / "kubectl").read_text()
    (folder / "kubectl").write_text(kubectl.replace("exec*)", f"exec*split*) kill -{sent} $PPID; exit 1 ;;\n  exec*)"))
    command = (sys.executable, "-m", "sluice_operator.cli", "doctor")
    assert subprocess.run(command, check=False, capture_output=True).returncode == code
    assert (folder / "created").read_text() == (folder / "deleted").read_text()


def test_a_command_in_a_pod_that_never_ends_is_given_up(folder: Path) -> None:
    """The other checks have their lines all the same."""
    (folder / "kubectl").write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(CommandError, match=r"check in pod a has not ended after 0\.1 s"):
        cluster.run_in("models", "a", "check", within=0.1)


def test_a_gateway_that_does_not_admit_the_route_of_doctor_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is in another namespace than models are. The Gateway's own words say so."""
    condition = {"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners", "message": ""}
    parent = {"name": "public", "namespace": "infra"}
    metadata = {"name": "sluice-doctor", "namespace": "sluice-system"}
    status = {"parents": [{"parentRef": parent, "conditions": [condition]}]}
    route = {"metadata": metadata, "spec": {"parentRefs": [parent]}, "status": status}
    (folder / "route").write_text(json.dumps(route))
    (folder / "split").write_text("FAIL  the gateway infra/public answers 404 for a new route\n")
    code, lines = doctor(capsys, "--gateway", "infra/public")
    assert code == 1
    assert lines[-1].endswith("NotAllowedByListeners; let allowedRoutes of a listener admit namespace sluice-system")


def test_who_may_not_read_the_crd_is_told_the_rest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The right is not needed for anything else."""
    (folder / "crd.err").write_text("customresourcedefinitions is forbidden")
    code, lines = doctor(capsys)
    assert code == 1
    assert lines[0].startswith("FAIL  whether the CRD is there is not known")
    assert "the gateway divides requests" in lines[-1]
