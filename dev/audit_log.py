"""The audit log of an API server: which service account asked for what, and what it was refused.

https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

_ACCOUNT = "system:serviceaccount:"
_OF_EVERYBODY = re.compile(r'of ClusterRole "system:')  # Kubernetes itself allows it to each account
# What an admission plugin says that refuses an object, and not the verb. It has status 403, too.
_NOT_ABOUT_RIGHTS = re.compile(
    r"exceeded quota|status unknown for quota|violates PodSecurity|is being terminated|denied (the )?request"
)


@dataclass(frozen=True, order=True, slots=True)
class Right:
    """A verb on a resource of an API group. `resource` has the subresource, too: deployments/scale."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


@dataclass(frozen=True, order=True, slots=True)
class Use:
    """What an account (`namespace/name`) asked for, and where. `namespace` and `name` are empty if it named none."""

    account: str
    right: Right
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.account}: {self.right}" + (f" in namespace {self.namespace}" if self.namespace else "")


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests by the use that they make of a right: all of them, and those that were refused for want of it."""

    made: Counter[Use]
    refused: Counter[Use]

    def of(self, is_meant: Callable[[str], bool]) -> "Requests":
        """Those of some accounts."""
        return Requests(*(_of(is_meant, counted) for counted in (self.made, self.refused)))


def requests(lines: Iterable[str]) -> Requests:
    """The requests of service accounts in a log, whose last line may be cut off.

    Left out are those of no resource (/version), and those that Kubernetes allows to everybody.
    """
    found = Requests(Counter(), Counter())
    for line in lines:
        if not line.endswith("\n"):
            break
        entry = json.loads(line)
        if entry["verb"] == "watch" and entry["stage"] == "ResponseComplete":
            continue  # counted when it began: the newest ones have no end yet
        for use in _uses(entry):
            found.made[use] += 1
            found.refused[use] += _is_refused(entry)
    return Requests(found.made, +found.refused)


def read(log: Path) -> Iterator[str]:
    """The lines of the log and of the older ones beside it, which the API server has rotated away."""
    for path in sorted(log.parent.glob(f"{log.stem}*{log.suffix}")):
        with path.open(encoding="utf-8") as lines:
            yield from lines


def _uses(entry: Mapping[str, Any]) -> Iterator[Use]:
    user, reference = entry["user"]["username"], entry.get("objectRef") or {}
    if not user.startswith(_ACCOUNT) or "resource" not in reference or _is_everybodys(entry):
        return
    account = user.removeprefix(_ACCOUNT).replace(":", "/")
    resource = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
    group, where = reference.get("apiGroup", ""), (reference.get("namespace", ""), reference.get("name", ""))
    yield Use(account, Right(group, resource, entry["verb"]), *where)
    if entry["verb"] == "patch" and _creates(entry):
        yield Use(account, Right(group, resource, "create"), *where)


def _creates(entry: Mapping[str, Any]) -> bool:
    """Whether a server-side apply was of an object that was not there: Kubernetes asks for `create`, too."""
    status = entry.get("responseStatus", {})
    return status.get("code") == HTTPStatus.CREATED or "cannot create" in status.get("message", "")


def _is_refused(entry: Mapping[str, Any]) -> bool:
    status = entry.get("responseStatus", {})
    return status.get("code") == HTTPStatus.FORBIDDEN and not _NOT_ABOUT_RIGHTS.search(status.get("message", ""))


def _is_everybodys(entry: Mapping[str, Any]) -> bool:
    return bool(_OF_EVERYBODY.search(entry.get("annotations", {}).get("authorization.k8s.io/reason", "")))


def _of(is_meant: Callable[[str], bool], counted: Counter[Use]) -> Counter[Use]:
    return Counter({use: number for use, number in counted.items() if is_meant(use.account)})
