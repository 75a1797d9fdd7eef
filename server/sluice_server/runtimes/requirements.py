"""Whether an image has what a model's requirements.txt asks for; pure.

MLflow writes the versions of the training into that file. A patch or a minor version rarely matters, so only a package
that is missing or has another major version is told; below 1.0 the minor version is what a major one is later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

# MLflow reads the models of its earlier versions.
_ANY_VERSION = frozenset({"mlflow", "mlflow-skinny", "mlflow-tracing"})
_SAME = ({"xgboost", "xgboost-cpu"},)  # one module, with and without the libraries for GPUs


def unmet(lines: Iterable[str], installed: Mapping[str, str]) -> tuple[str, ...]:
    """What of the lines of a requirements.txt `installed` (versions by normalized name) does not have, in words.

    Lines that name no package, such as options and addresses, say nothing of what is imported and are left out.
    """
    found = (_unmet(requirement, installed) for line in lines if (requirement := _parsed(line)))
    return tuple(words for words in found if words)


def _parsed(line: str) -> Requirement | None:
    try:
        requirement = Requirement(line.partition(" #")[0].split(" --")[0].strip())
    except InvalidRequirement:
        return None
    applies = requirement.marker is None or requirement.marker.evaluate()
    return requirement if applies else None


def _unmet(requirement: Requirement, installed: Mapping[str, str]) -> str:
    """The requirement, and what is here instead; empty if it is met."""
    here = _version(canonicalize_name(requirement.name), installed)
    shown = f"{requirement.name}{requirement.specifier}"
    if here is None:
        return f"{shown} (missing)"
    if canonicalize_name(requirement.name) in _ANY_VERSION or requirement.specifier.contains(here, prereleases=True):
        return ""
    asked = {_major(each.version) for each in requirement.specifier if each.operator in ("==", "===", "~=")}
    return f"{shown} (here: {here})" if asked and _major(here) not in asked else ""


def _version(name: str, installed: Mapping[str, str]) -> str | None:
    names = [name, *(other for same in _SAME if name in same for other in same)]
    return next((installed[each] for each in names if each in installed), None)


def _major(version: str) -> tuple[int, ...]:
    """1 of 1.9.1, and 0.14 of 0.14.4; nothing that is equal to another one for a text that is no version."""
    try:
        release = Version(version.removesuffix(".*")).release
    except InvalidVersion:
        return ()
    return release[:1] if release[0] else (*release, 0)[:2]
