"""`python -m dev.rights AUDIT_LOG`: which of its rights the operator has used, as a table.

The audit log of the local cluster has every request of the operator to the API server; `cluster.sh env` names it. A
right that nothing needed in a run of all end-to-end tests is one too many, and a request that was refused shows one too
few. https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

RBAC = Path(__file__).resolve().parents[1] / "manifests" / "install" / "base" / "rbac.yaml"


@dataclass(frozen=True, order=True, slots=True)
class Right:
    """A verb on a resource of an API group. `resource` has the subresource, too: deployments/scale."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests by the right that they need: all of them, and those that were refused for want of it."""

    made: Counter[Right]
    refused: Counter[Right]


def granted(manifests: str) -> set[Right]:
    """The rights of all roles in a file of manifests. A right on named objects only is a right, too."""
    return {
        Right(group, resource, verb)
        for manifest in yaml.safe_load_all(manifests)
        for rule in manifest.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def requests(lines: Iterable[str]) -> Requests:
    """The requests of an audit log, whose last line may be cut off. Those of no resource (/version) are left out."""
    found = Requests(Counter(), Counter())
    for line in lines:
        if not line.endswith("\n"):
            break
        entry = json.loads(line)
        if entry["verb"] == "watch" and entry["stage"] == "ResponseComplete":
            continue  # counted when it began: the newest ones have no end yet
        code = entry.get("responseStatus", {}).get("code", 0)
        for right in _needed(entry, code):
            found.made[right] += 1
            found.refused[right] += code == HTTPStatus.FORBIDDEN
    return found


def read(log: Path) -> Iterator[str]:
    """The lines of the log and of the older ones beside it, which the API server has rotated away."""
    for path in sorted(log.parent.glob(f"{log.stem}*{log.suffix}")):
        with path.open(encoding="utf-8") as lines:
            yield from lines


def table(rights: set[Right], found: Requests) -> str:
    """A row for each right: how often it was used."""
    rows = [f"| {right} | {found.made[right]} | {found.refused[right]} |" for right in sorted(rights | set(found.made))]
    return "\n".join(["| right | requests | refused |", "| --- | --- | --- |", *rows])


def _needed(entry: dict[str, Any], code: int) -> Iterator[Right]:
    reference = entry.get("objectRef")
    if reference is None or "resource" not in reference:
        return
    name = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
    group = reference.get("apiGroup", "")
    yield Right(group, name, entry["verb"])
    if entry["verb"] == "patch" and code == HTTPStatus.CREATED:  # server-side apply of an object that was not there
        yield Right(group, name, "create")


def main(arguments: list[str]) -> int:
    """Exit code 1 if a request was refused."""
    found = requests(read(Path(arguments[0])))
    print(table(granted(RBAC.read_text(encoding="utf-8")), found))
    return 1 if found.refused.total() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
