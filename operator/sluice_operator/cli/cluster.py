"""What the commands read from a cluster: with the kubectl on the PATH, and with its current context."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from sluice_operator.api import names, spec, status
from sluice_operator.api.owner import Manifest
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Status

_RESOURCE = f"{names.PLURAL}.{names.GROUP}"


class CommandError(Exception):
    """A command cannot be carried out. The text says why, and what to do."""


def model_deployment(name: str, namespace: str | None) -> tuple[str, Spec, Status]:
    """Namespace, spec and status of a ModelDeployment. Raises CommandError."""
    body = _kubectl("get", _RESOURCE, name, *_in(namespace))
    try:
        return body["metadata"]["namespace"], spec.parse(body["spec"]), status.parse(body.get("status"))
    except ValueError as error:
        raise CommandError(f"{name} is of another version of Sluice: {error}") from error


def with_defaults(path: str) -> Manifest:
    """The ModelDeployment in a file as the API server would store it. Nothing is stored. Raises CommandError."""
    return _kubectl("apply", "--dry-run=server", f"--filename={path}")


def records(name: str, namespace: str | None) -> list[Manifest]:
    """The ConfigMaps with the run records of a ModelDeployment, the newest first. Raises CommandError."""
    labels = f"{names.LABEL_OWNER}={name},{names.LABEL_RECORD}={names.RUN_RECORD}"
    config_maps: list[Manifest] = _kubectl("get", "configmaps", f"--selector={labels}", *_in(namespace))["items"]
    if not config_maps:
        model_deployment(name, namespace)  # raises if there is no such object
        raise CommandError(
            f"there is no record of a run of {name} yet: one is written when a run ends that had traffic"
        )
    return sorted(config_maps, key=lambda config_map: str(config_map["data"]["startedAt"]), reverse=True)


def _in(namespace: str | None) -> Sequence[str]:
    return [] if namespace is None else [f"--namespace={namespace}"]


def _kubectl(*arguments: str) -> dict[str, Any]:
    try:
        done = subprocess.run(  # noqa: S603 - the user's own kubectl, without a shell
            ["kubectl", *arguments, "--output=json"],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise CommandError("kubectl is not on the PATH: install it, or read a record from a file (--record)") from error
    if done.returncode:
        raise CommandError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
