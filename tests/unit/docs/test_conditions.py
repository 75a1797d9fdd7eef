"""docs/conditions.md has every reason that a condition, an event or a refusal can have, and none that is gone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "conditions.md").read_text(encoding="utf-8")
PACKAGES = (ROOT / "operator" / "sluice_operator", ROOT / "server" / "sluice_server")
REASON = re.compile(r"[A-Z][A-Za-z]*[a-z][A-Z][A-Za-z]*")  # of two words at least, without spaces

# Texts in the code that only look like reasons: values of the spec, and names of Kubernetes and of our own objects.
OTHERS = {
    *("AfterPromotion", "BeforePromotion", "EveryStep", "PromoteIfClean", "TrustedTypes"),
    *("ConfigMap", "ContainerCreating", "EndpointSlice", "IfNotPresent", "PodInitializing", "PodScheduled"),
    "IngressClass",
    *("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "ContainerStatusUnknown"),
    *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "OutOf"),
    *("RegistryUnavailable", "SignatureValidationFailed", "ReplicaFailure"),
    *("NaN", "RollingUpdate", "RuntimeDefault", "BearerToken", "BurstLaw", "ModelDeployment", "ErrorRate"),
}


def texts(package: Path) -> Iterator[str]:
    """The text of each string in the code."""
    for module in package.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


IN_CODE = {text for package in PACKAGES for text in texts(package) if REASON.fullmatch(text)} - OTHERS
ON_PAGE = set(re.findall(r"\w+", PAGE))


def test_each_reason_is_explained() -> None:
    """Under its whole name, as `kubectl` shows it."""
    assert set() == IN_CODE - ON_PAGE


def test_no_reason_is_explained_that_is_gone() -> None:
    """Words in backticks that look like a reason are reasons of the code."""
    shown = {word for word in re.findall(r"`(\w+)`", PAGE) if REASON.fullmatch(word)} - OTHERS
    assert shown - IN_CODE == set()


def test_reasons_are_found() -> None:
    """The tests above would pass if none were."""
    assert {"AliasNotFound", "ErrorRateWorseThanStable", "SkopsNotTrusted", "RolledBack"} <= IN_CODE
