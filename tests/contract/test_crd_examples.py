"""The API server accepts each ModelDeployment in the examples, the README and the docs."""

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
    """The ModelDeployments of the examples and of the YAML blocks in README and docs, by their place."""
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
def test_an_example_can_be_applied(kubectl: Kubectl, place: str) -> None:
    """Without a change, except for its namespace."""
    manifest = SHOWN[place]
    manifest["metadata"]["namespace"] = "models"
    assert kubectl.accepts(manifest)["metadata"]["name"] == manifest["metadata"]["name"]


def test_the_iris_example_is_found() -> None:
    """The test above would pass without any example."""
    assert "iris.yaml: iris" in SHOWN
