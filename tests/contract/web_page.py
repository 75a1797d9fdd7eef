"""The web page before a real API server: its process, models in two namespaces, and viewers with different rights."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from dev.processes import free_ports, running
from sluice_operator.api import names
from tests.contract.conftest import Kubectl
from tests.unit.sluice_operator.cli.terminal import a_record, config_map
from tests.unit.sluice_operator.web.pages_data import all_phases, body, stepping

NAMESPACES = ("web-a", "web-b")
READER = ["--verb=get,list", f"--resource={names.PLURAL}.{names.GROUP},configmaps"]


@dataclass(frozen=True)
class Viewers:
    """A token of each: who may read all namespaces, web-a, only the models of web-a, and nothing."""

    everything: str
    team: str
    without_records: str
    nothing: str


@dataclass(frozen=True)
class WebPage:
    """The page at `url`."""

    url: str
    viewers: Viewers
    record: str

    def get(self, path: str, token: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.get(f"{self.url}{path}", headers=headers, timeout=30)


@contextmanager
def web_page(kubectl: Kubectl, folder: Path) -> Iterator[WebPage]:
    """All of it; the namespaces are gone afterwards as far as an API server without controllers removes them."""
    record = fill(kubectl)
    found = viewers(kubectl)
    (port,) = free_ports(1)
    with running(command(kubectl, port), folder / "web.log") as process:
        page = WebPage(f"http://localhost:{port}", found, record)
        while not _answers(page):
            assert process.poll() is None, (folder / "web.log").read_text()
        yield page
    for namespace in NAMESPACES:
        kubectl("delete", "mdep,configmap", "--all", f"--namespace={namespace}")
    kubectl("delete", "clusterrolebinding", "web-everything")


def command(kubectl: Kubectl, port: int) -> list[str]:
    """Of the process of the page: it gets the address of the API server and no credentials."""
    cluster = json.loads(kubectl("config", "view", "--raw", "--output=json"))["clusters"][0]["cluster"]
    server = [f"--api-server={cluster['server']}", f"--ca={cluster['certificate-authority']}"]
    return [sys.executable, "-m", "sluice_operator.web", *server, "--host=127.0.0.1", f"--port={port}"]


def _answers(page: WebPage) -> bool:
    try:
        return page.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False


def fill(kubectl: Kubectl) -> str:
    """Models in both namespaces, and the record of a run in the first. Returns its name."""
    for namespace in NAMESPACES:
        kubectl("create", "namespace", namespace)
    in_phases = (body(status, name, "web-a") for name, status in all_phases())
    create(kubectl, *in_phases, body(stepping(), "secret-model", "web-b"))
    record = config_map(a_record(bad=0.3))
    metadata = {**record["metadata"], "namespace": "web-a", "ownerReferences": []}
    metadata["labels"] = {**metadata["labels"], names.LABEL_OWNER: "stepping"}
    kubectl("create", "--filename=-", stdin=json.dumps({**record, "metadata": metadata}))
    return str(metadata["name"])


def create(kubectl: Kubectl, *manifests: dict[str, Any]) -> None:
    """Objects with their status, which the API server checks too."""
    items = []
    for manifest in manifests:
        metadata = {key: manifest["metadata"][key] for key in ("name", "namespace")}
        items.append({**manifest, "metadata": metadata})
    together = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl("create", "--filename=-", stdin=together)
    kubectl("replace", "--subresource=status", "--filename=-", stdin=together)


def viewers(kubectl: Kubectl) -> Viewers:
    """Service accounts of web-a."""
    kubectl("create", "clusterrole", "web-reader", *READER)
    kubectl(
        "create", "role", "models", "--verb=get,list", "--resource=modeldeployments.sluice.dev", "--namespace=web-a"
    )
    everything, team, without_records, nothing = (
        token_of(kubectl, name) for name in ("everything", "team", "without-records", "nothing")
    )
    bind = "--clusterrole=web-reader"
    kubectl("create", "clusterrolebinding", "web-everything", bind, "--serviceaccount=web-a:everything")
    kubectl("create", "rolebinding", "team", bind, "--serviceaccount=web-a:team", "--namespace=web-a")
    kubectl(
        "create",
        "rolebinding",
        "models",
        "--role=models",
        "--serviceaccount=web-a:without-records",
        "--namespace=web-a",
    )
    return Viewers(everything, team, without_records, nothing)


def token_of(kubectl: Kubectl, account: str) -> str:
    """A token of a new service account."""
    kubectl("create", "serviceaccount", account, "--namespace=web-a")
    return kubectl("create", "token", account, "--namespace=web-a").strip()
