"""docs/conditions.md has every reason that a condition, an event or a refusal can have, and none that is gone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from sluice_operator.api.run import Outcome

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "conditions.md").read_text(encoding="utf-8")
PACKAGES = (ROOT / "operator" / "sluice_operator", ROOT / "server" / "sluice_server")
RUNTIMES = PACKAGES[1] / "runtimes"
# They give no reasons; their words are ONNX's operators, and scikit-learn's losses and classes.
FORMULAS = (PACKAGES[1] / "convert", RUNTIMES / "onnx_steady.py", RUNTIMES / "skops_signature.py")
REASON = re.compile(r"[A-Z][A-Za-z]*[a-z][A-Z][A-Za-z]*")  # of two words at least, without spaces

# Texts in the code that only look like reasons: values of the spec, and names of Kubernetes and of our own objects.
OTHERS = {
    *("AfterPromotion", "BeforePromotion", "EveryStep", "PromoteIfClean", "TrustedTypes"),
    *("ConfigMap", "ContainerCreating", "EndpointSlice", "IfNotPresent", "PodInitializing", "PodScheduled"),
    *("IngressClass", "OnFailure", "CustomResourceDefinition", "SelfSubjectRulesReview", "SelfSubjectReview"),
    *("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "ContainerStatusUnknown"),
    *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "OutOf"),
    *("RegistryUnavailable", "SignatureValidationFailed", "ReplicaFailure", "NewReplicaSetAvailable"),
    *("ArrayFeatureExtractor", "CPUExecutionProvider", "SearchCV"),
    *("NaN", "NaT", "RollingUpdate", "RuntimeDefault", "BearerToken", "BurstLaw", "ModelDeployment", "ErrorRate"),
    *("ImplementationSpecific", "AlwaysAllow", "PodDisruptionBudget"),
    *("PathPrefix", "ReplacePrefixMatch", "ResolvedRefs", "PartiallyInvalid"),
    *("NotAllowedByListeners", "NoMatchingParent", "NoMatchingListenerHostname"),
    *("AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"),  # of S3
    "XAdminUserNotFound",
}

# One word may be anything. In these folders, where reasons are made, it is one unless it is named here: types, statuses
# and objects of Kubernetes, and names of our own types.
SPEAKING = tuple(PACKAGES[0] / folder for folder in ("analysis", "controller", "rollout"))
WORD = re.compile(r"[A-Z][a-z]+")
OTHER_WORDS = {
    *("Paused", "Ready", "Reconciling", "Stalled", "False", "True", "Unknown", "Normal", "Warning"),
    *("Deployment", "Event", "Ingress", "Pod", "Service"),
    *("Answer", "Forecast", "Inf", "Thresholds"),
}


def texts(package: Path) -> Iterator[str]:
    """The text of each string in the code."""
    for module in package.rglob("*.py"):
        if any(map(module.is_relative_to, FORMULAS)):
            continue
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


IN_CODE = {text for package in PACKAGES for text in texts(package) if REASON.fullmatch(text)} - OTHERS
WORDS_IN_CODE = {text for package in SPEAKING for text in texts(package) if WORD.fullmatch(text)} - OTHER_WORDS
ON_PAGE = set(re.findall(r"\w+", PAGE))
SHOWN = set(re.findall(r"`(\w+)`", PAGE))


def test_each_reason_is_explained() -> None:
    """Under its whole name, as `kubectl` shows it."""
    assert set() == IN_CODE - ON_PAGE


def test_each_reason_of_one_word_is_explained() -> None:
    """In backticks, so that no word of a sentence passes for one. An event has the outcome of a run as its reason."""
    assert set() == (WORDS_IN_CODE | set(Outcome)) - SHOWN


def test_no_reason_is_explained_that_is_gone() -> None:
    """Words in backticks that look like a reason are reasons of the code."""
    shown = {word for word in SHOWN if REASON.fullmatch(word)} - OTHERS
    assert shown - IN_CODE == set()


def test_reasons_are_found() -> None:
    """The tests above would pass if none were."""
    assert {"AliasNotFound", "ErrorRateWorseThanStable", "UntrustedTypes", "RolledBack"} <= IN_CODE
    assert {"Aborted", "Undone", "Serving", "Suspended"} <= WORDS_IN_CODE
