"""The Job that brings the CRD up to date, as a process with the rights of the Job; and those of `helm test`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from dev.api_server import ROOT
from dev.audit_log import read, requests
from dev.helm import Helm
from dev.rights import Difference, difference, grants
from sluice_operator.installation.crds import VERSION
from tests.contract.chart_values import SMALLEST
from tests.contract.conftest import Kubectl, api_server_in

CRD = "modeldeployments.sluice.dev"
IN = "--namespace=sluice-system"
RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ConfigMap")


class Hook(NamedTuple):
    """The administrator's kubectl, the Job's manifest, its file of the CRD, its kubeconfig, and what was applied."""

    cluster: Kubectl
    job: dict[str, Any]
    crd: Path
    kubeconfig: Path
    given: list[dict[str, Any]]

    def run(self) -> subprocess.CompletedProcess[str]:
        """What the Job runs, with the arguments of its manifest."""
        [container] = self.job["spec"]["template"]["spec"]["containers"]
        file, *rest = container["args"]
        assert Path(file).name == self.crd.name
        command = [sys.executable, *container["command"][1:], str(self.crd), *rest]
        env = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def installed(self) -> dict[str, Any]:
        """The CRD as it is now."""
        found: dict[str, Any] = json.loads(self.cluster("get", "crd", CRD, "--output=json"))
        return found


@pytest.fixture(scope="module")
def hook(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hook]:
    """A cluster with the objects that Helm makes before the Job."""
    folder = tmp_path_factory.mktemp("crds")
    with api_server_in(folder) as cluster:
        cluster("create", "namespace", "sluice-system")
        manifests = helm.template(SMALLEST)
        made = [each for each in manifests if each["kind"] in RIGHTS]
        cluster("apply", "--filename=-", stdin=yaml.safe_dump_all(made))
        [job] = [each for each in manifests if each["kind"] == "Job"]
        [files] = [each["data"] for each in made if each["metadata"]["name"] == "sluice-crds" and "data" in each]
        [(name, text)] = files.items()
        (folder / name).write_text(text, encoding="utf-8")
        config = yaml.safe_load(cluster.kubeconfig.read_text())
        account = job["spec"]["template"]["spec"]["serviceAccountName"]
        config["users"][0]["user"] = {"token": cluster("create", "token", account, IN).strip()}
        (folder / "job.kubeconfig").write_text(yaml.safe_dump(config))
        yield Hook(cluster, job, folder / name, folder / "job.kubeconfig", made)


@pytest.fixture
def old_crd(hook: Hook) -> Iterator[None]:
    """A CRD as an older version had it: without one field of the spec, and with one that has gone since."""
    crd = yaml.safe_load((ROOT / "crds" / "modeldeployments.yaml").read_text(encoding="utf-8"))
    fields = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    del fields["registry" if "registry" in fields else "server"]
    fields["formerly"] = {"type": "string"}
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].pop("x-kubernetes-validations", None)
    hook.cluster("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=json.dumps(crd))
    yield
    hook.cluster("delete", "crd", CRD, "--wait=true", "--ignore-not-found")


@pytest.mark.usefixtures("old_crd")
def test_an_upgrade_brings_the_crd_of_its_version(hook: Hook, cluster_schema: Any) -> None:
    """With new fields, and without those that have gone."""
    done = hook.run()
    assert done.returncode == 0, done.stderr
    installed = hook.installed()
    assert cluster_schema(installed) == cluster_schema(yaml.safe_load(hook.crd.read_text(encoding="utf-8")))
    assert installed["metadata"]["annotations"][VERSION] in done.stdout


@pytest.fixture
def cluster_schema() -> Any:
    """The names of the fields of the spec, of a CRD."""

    def names(crd: dict[str, Any]) -> set[str]:
        return set(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"])

    return names


@pytest.mark.usefixtures("old_crd")
def test_a_newer_crd_is_not_taken_back(hook: Hook) -> None:
    """By an older operator that is upgraded, or installed, beside a newer one."""
    hook.cluster("annotate", "crd", CRD, f"{VERSION}=99.0.0")
    before = hook.installed()
    done = hook.run()
    assert (done.returncode, "newer" in done.stdout) == (0, True)
    assert hook.installed()["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_without_a_crd_the_job_says_what_to_do(hook: Hook) -> None:
    """It may not create one: RBAC cannot restrict the names of what is created."""
    done = hook.run()
    assert done.returncode == 1
    assert f"there is no CRD {CRD}: was helm run with --skip-crds?" in done.stderr


def test_the_job_needs_all_that_it_may_do(hook: Hook) -> None:
    """By its requests in all tests above: nothing is unused, and nothing was missing."""
    account = f"sluice-system/{hook.job['spec']['template']['spec']['serviceAccountName']}"
    given = {grant for grant in grants(hook.given) if grant.account == account}
    asked = requests(read(hook.cluster.kubeconfig.parent / "audit.log")).of(account.__eq__)
    assert given
    assert asked.made
    assert difference(given, asked) == Difference(frozenset(), frozenset())


@pytest.mark.parametrize(
    ("verb", "what", "allowed"),
    [
        ("get", f"crd/{CRD}", True),
        ("update", f"crd/{CRD}", True),
        ("delete", f"crd/{CRD}", False),
        ("create", "crd", False),
        ("get", "crd/others.example.com", False),
        ("list", "secrets", False),
        ("get", "modeldeployments.sluice.dev", False),
    ],
)
def test_the_job_may_change_one_crd_and_nothing_else(hook: Hook, verb: str, what: str, allowed: bool) -> None:
    """The API server's own authorizer is asked."""
    account = "--as=system:serviceaccount:sluice-system:sluice-crds"
    assert (hook.cluster.run("auth", "can-i", verb, what, account, IN).returncode == 0) is allowed


@pytest.mark.parametrize(
    ("verb", "what", "allowed"),
    [
        ("get", "leases.coordination.k8s.io/sluice-leader", True),
        ("get", "leases.coordination.k8s.io/another", False),
        ("update", "leases.coordination.k8s.io/sluice-leader", False),
        ("get", "secrets", False),
        ("list", "pods", False),
    ],
)
def test_the_pod_of_helm_test_may_read_the_lease_and_nothing_else(
    hook: Hook, verb: str, what: str, allowed: bool
) -> None:
    """All else that it looks at, it asks as the operator does."""
    account = "--as=system:serviceaccount:sluice-system:sluice-test"
    assert (hook.cluster.run("auth", "can-i", verb, what, account, IN).returncode == 0) is allowed
