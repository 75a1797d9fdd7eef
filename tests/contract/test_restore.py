"""docs/backup.md: its commands bring back an object with its status, and what it owned, on a real API server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dev.api_server import ROOT
from tests.contract.conftest import Kubectl

PAGE = (ROOT / "docs" / "backup.md").read_text(encoding="utf-8")
FILTERS = re.findall(r"jq '([^']+)'", PAGE)
STATUS = {"version": 1, "phase": "Stable", "message": "models:/iris/3 serves"}


@pytest.fixture
def backed_up(kubectl: Kubectl, created_iris: None) -> dict[str, Any]:
    """The object `iris` with a status, as kubectl prints it."""
    with_status(kubectl, STATUS)
    return stored(kubectl, "mdep", "iris")


def with_status(kubectl: Kubectl, status: dict[str, Any]) -> None:
    """Merged into the status that there is."""
    patch = json.dumps({"status": status})
    kubectl("patch", "mdep", "iris", "-n=models", "--subresource=status", "--type=merge", f"-p={patch}")


def stored(kubectl: Kubectl, kind: str, name: str) -> dict[str, Any]:
    """The object in the namespace `models`."""
    body: dict[str, Any] = json.loads(kubectl("get", kind, name, "-n=models", "-o=json"))
    return body


def owned_secret(owner: dict[str, Any]) -> dict[str, Any]:
    """One that the ModelDeployment `owner` owns."""
    reference = {key: owner[key] for key in ("apiVersion", "kind")}
    reference |= {key: owner["metadata"][key] for key in ("name", "uid")} | {"controller": True}
    metadata = {"name": "iris-feedback", "namespace": "models", "ownerReferences": [reference]}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}


def filtered(expression: str, document: dict[str, Any]) -> str:
    """What jq makes of it."""
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    done = subprocess.run(["jq", expression], input=json.dumps(document), capture_output=True, text=True, check=True)
    return done.stdout


def test_an_object_is_restored_with_its_status(kubectl: Kubectl, backed_up: dict[str, Any], tmp_path: Path) -> None:
    """Create ignores the status, and replace with --subresource=status writes it."""
    kubectl("delete", "mdep", "iris", "--namespace=models")
    objects, children = tmp_path / "objects-new.json", tmp_path / "children-new.json"
    objects.write_text(filtered(FILTERS[0], {"apiVersion": "v1", "kind": "List", "items": [backed_up]}))
    children.write_text(filtered(FILTERS[0], {"apiVersion": "v1", "kind": "List", "items": [owned_secret(backed_up)]}))
    for file in (children, objects):
        kubectl("create", f"--filename={file}")
    assert "status" not in stored(kubectl, "mdep", "iris")
    kubectl("replace", "--subresource=status", f"--filename={objects}")
    restored = stored(kubectl, "mdep", "iris")
    assert restored["status"] == backed_up["status"]
    assert restored["metadata"]["uid"] != backed_up["metadata"]["uid"]
    assert "ownerReferences" not in stored(kubectl, "secret", "iris-feedback")["metadata"]


def test_a_lost_status_is_written_again(kubectl: Kubectl, backed_up: dict[str, Any]) -> None:
    """The whole one of the backup takes its place, and the spec stays."""
    with_status(kubectl, {"phase": "Pending", "message": None})
    kubectl("replace", "--subresource=status", "--filename=-", stdin=filtered(FILTERS[1], backed_up))
    restored = stored(kubectl, "mdep", "iris")
    assert (restored["status"], restored["spec"]) == (backed_up["status"], backed_up["spec"])
