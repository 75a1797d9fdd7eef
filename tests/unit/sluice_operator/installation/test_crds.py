"""The CRD is brought up to date, and never taken back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from sluice_operator.installation import crds
from sluice_operator.installation.crds import CrdError, bring_up_to_date
from sluice_operator.kubernetes.port import Conflict, ReadRefused, WriteRefused

NAME = "modeldeployments.sluice.dev"
NEW = {"kind": "CustomResourceDefinition", "metadata": {"name": NAME}, "spec": {"group": "sluice.dev"}}


@dataclass
class Server:
    """Has one CRD, or none. The first writes fail as `failures` say."""

    crd: dict[str, Any] | None
    failures: list[Exception] = field(default_factory=list)

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        assert (kind, namespace, name) == ("CustomResourceDefinition", "", NAME)
        return self.crd

    async def replace(self, manifest: dict[str, Any]) -> dict[str, Any]:
        if self.failures:
            raise self.failures.pop(0)
        self.crd = manifest
        return manifest


def installed(version: str = "") -> dict[str, Any]:
    annotations = {"of": "others"} | ({crds.VERSION: version} if version else {})
    metadata = {"name": NAME, "resourceVersion": "7", "annotations": annotations, "labels": {"team": "ml"}}
    return {"metadata": metadata, "spec": {"group": "sluice.dev", "removed": True}}


def brought(server: Server, version: str = "0.2.0-dev.0") -> str:
    return asyncio.run(bring_up_to_date(server, NEW, version))


@pytest.mark.parametrize("before", ["", "0.1.0", "0.2.0", "0.2.0-dev.0"])
def test_an_older_crd_is_replaced(before: str) -> None:
    """What the new one has not is gone; labels and annotations of others stay, and the version is noted."""
    server = Server(installed(before))
    assert "is of version 0.2.0-dev.0" in brought(server)
    assert server.crd is not None
    assert server.crd["spec"] == NEW["spec"]
    metadata = server.crd["metadata"]
    assert metadata["annotations"] == {"of": "others", crds.VERSION: "0.2.0-dev.0"}
    assert (metadata["labels"], metadata["resourceVersion"]) == ({"team": "ml"}, "7")


@pytest.mark.parametrize("theirs", ["0.3.0", "0.10.0", "1.0.0"])
def test_a_newer_crd_stays(theirs: str) -> None:
    """Another operator of the cluster may need it, and it serves an older one as well."""
    server = Server(installed(theirs))
    assert f"the CRD is of version {theirs}" in brought(server)
    assert server.crd == installed(theirs)


def test_a_write_of_somebody_else_meanwhile_is_no_end() -> None:
    """The CRD is read again."""
    server = Server(installed(), [Conflict("changed")])
    brought(server)
    assert server.crd is not None
    assert server.crd["spec"] == NEW["spec"]


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (Server(None), "there is no CRD modeldeployments.sluice.dev"),
        (
            Server(installed(), [WriteRefused("spec is invalid")]),
            "refuses the CRD of version 0.2.0-dev.0: spec is invalid",
        ),
        (Server(installed(), [Conflict("changed")] * 9), "metadata.managedFields"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(server: Server, words: str) -> None:
    """The Job shows it in its log."""
    with pytest.raises(CrdError, match=words):
        brought(server)


def test_without_rights_an_administrator_is_asked_for() -> None:
    """The words name the command and the value."""

    class Forbidding(Server):
        async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
            raise ReadRefused("forbidden")

    with pytest.raises(CrdError, match=r"crds\.upgrade=false"):
        brought(Forbidding(None))
