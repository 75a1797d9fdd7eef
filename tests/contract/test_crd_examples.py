"""Every ModelDeployment that the project shows to people is one that the API server accepts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from tests.contract.conftest import Kubectl

ROOT = Path(__file__).parents[2]
YAML_BLOCK = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shown() -> dict[str, dict[str, Any]]:
    """The ModelDeployments of the examples and of the YAML blocks in README and docs, by where they stand."""
    texts = {path.name: path.read_text() for path in sorted((ROOT / "manifests" / "examples").glob("*.yaml"))}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        blocks = YAML_BLOCK.findall(page.read_text())
        texts |= {f"{page.name}, block {number}": block for number, block in enumerate(blocks, 1)}
    return {
        f"{place}: {manifest['metadata']['name']}": manifest
        for place, text in texts.items()
        for manifest in yaml.safe_load_all(text)
        if isinstance(manifest, dict) and manifest.get("kind") == "ModelDeployment"
    }


SHOWN = shown()


@pytest.mark.parametrize("place", SHOWN)
def test_what_is_shown_can_be_applied(kubectl: Kubectl, place: str) -> None:
    """As it stands, into a namespace that is there."""
    manifest = SHOWN[place]
    manifest["metadata"]["namespace"] = "models"
    assert kubectl.accepts(manifest)["metadata"]["name"] == manifest["metadata"]["name"]


def test_the_iris_example_is_among_them() -> None:
    """The test above would pass if nothing were found."""
    assert "iris.yaml: iris" in SHOWN
