"""What the commands read from a cluster: with the kubectl on the PATH, and with its current context."""

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sluice_operator.api import foreign_json, names, spec, status
from sluice_operator.api.owner import Manifest
from sluice_operator.api.spec import Spec
from sluice_operator.api.status import Status

_PATIENCE = "--request-timeout=15s"  # of one answer: an API server that is silent is told within a minute or so
_LONGEST_WAIT = 1e9  # seconds: kubectl counts nanoseconds in 64 bits
_LOG_LINE = re.compile(r"[EWIF][0-9]{4} [0-9:.]+ +[0-9]+ ")  # that kubectl's libraries print before its own words
_RESOURCE = f"{names.PLURAL}.{names.GROUP}"


class CommandError(Exception):
    """A command cannot be carried out. The text says why, and what to do."""


def model_deployment(name: str, namespace: str | None) -> tuple[str, Spec, Status]:
    """Namespace, spec and status of a ModelDeployment. Raises CommandError."""
    body = found(name, namespace)
    return body["metadata"]["namespace"], spec_of(body), status_of(body)


def found(name: str, namespace: str | None) -> Manifest:
    """A ModelDeployment as the API server has it. Raises CommandError."""
    return _kubectl("get", _RESOURCE, name, *_in(namespace))


def spec_of(body: Manifest) -> Spec:
    """The spec in a ModelDeployment as the API server has it. Raises CommandError."""
    try:
        return spec.parse(body["spec"])
    except (KeyError, ValueError) as error:
        raise CommandError(f"{body['metadata']['name']} is of another version of Sluice: {error}") from error


def status_of(body: Manifest) -> Status:
    """The status in a ModelDeployment as it was read. Raises CommandError."""
    try:
        return status.parse(body.get("status"))
    except ValueError as error:
        raise CommandError(f"{body['metadata']['name']} is of another version of Sluice: {error}") from error


def seen_changes(name: str, namespace: str | None) -> Iterator[Manifest]:
    """A ModelDeployment as it is now, and again each time when it changes. Raises CommandError when that ends."""
    arguments = ["get", _RESOURCE, name, "--watch", "--output=json", *_in(namespace)]
    with subprocess.Popen(["kubectl", *arguments], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603, S607
        try:
            assert process.stdout is not None
            yield from _documents(process.stdout)
        finally:
            process.terminate()
    raise CommandError("the watch has ended: start it again")


def _documents(lines: Iterable[str]) -> Iterator[Manifest]:
    """The JSON documents in a stream, each as soon as it is complete: kubectl ends each with a brace in column 0."""
    text = ""
    for line in lines:
        text += line
        if line.startswith("}"):
            yield foreign_json.decoded(text.encode())
            text = ""


def annotate(body: Manifest, key: str, value: str, manager: str) -> bool:
    """Write an annotation of an object as it was read. False if somebody else has written it since."""
    metadata = body["metadata"]
    version, namespace = f"--resource-version={metadata['resourceVersion']}", metadata["namespace"]
    try:
        _kubectl(
            *("annotate", _RESOURCE, metadata["name"], f"{key}={value}", "--overwrite"),
            *(version, f"--field-manager={manager}", *_in(namespace)),
        )
    except CommandError as error:
        if "the object has been modified" in str(error):
            return False
        raise
    return True


def answered(body: Manifest, command: str, seconds: float) -> Status | None:
    """The status once the operator has answered `command`. None if it has not within so many seconds."""
    name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
    condition = f"--for=jsonpath={{.status.lastCommand.id}}={command}"
    try:
        answer = _kubectl(
            "wait", f"{_RESOURCE}/{name}", condition, f"--timeout={min(seconds, _LONGEST_WAIT):.3f}s", *_in(namespace)
        )
    except CommandError as error:
        if "timed out" in str(error):
            return None
        raise
    return status_of(answer)


def user_name() -> str:
    """What the API server calls this user; empty if it does not say."""
    try:
        user = _kubectl("auth", "whoami")["status"]["userInfo"]["username"]
    except (CommandError, KeyError):
        return ""
    return str(user)


def with_defaults(path: str) -> Manifest:
    """The ModelDeployment in a file as the API server would store it. Nothing is stored. Raises CommandError."""
    return _kubectl("apply", "--dry-run=server", f"--filename={path}")


def records(name: str, namespace: str | None) -> list[Manifest]:
    """The ConfigMaps with the run records of a ModelDeployment, the newest first. Raises CommandError.

    Whoever may write ConfigMaps can make one that has the labels of a record, and nothing else of it: it is left out.
    """
    labels = f"{names.LABEL_OWNER}={name},{names.LABEL_RECORD}={names.RUN_RECORD}"
    config_maps = [each for each in found_by_label("configmaps", labels, namespace) if _is_record(each)]
    if not config_maps:
        model_deployment(name, namespace)  # raises if there is no such object
        raise CommandError(f"there is no record of a run of {name} yet: one is written when a run ends")
    return sorted(config_maps, key=lambda config_map: str(config_map["data"]["startedAt"]), reverse=True)


def _is_record(config_map: Manifest) -> bool:
    return (config_map.get("data") or {}).keys() >= names.RECORD_SUMMARY


def maybe(kind: str, name: str, namespace: str | None = None) -> Manifest | None:
    """An object of a namespace or of the whole cluster; None if it is not there. Raises CommandError."""
    answer = _kubectl("get", kind, name, "--ignore-not-found", *_in(namespace), absent={})
    return answer or None


def found_by_label(kind: str, labels: str, namespace: str | None) -> list[Manifest]:
    """The objects with these labels. Raises CommandError."""
    found: list[Manifest] = _kubectl("get", kind, f"--selector={labels}", *_in(namespace))["items"]
    return found


def run_in(namespace: str, pod: str, *command: str, within: float = 300.0) -> subprocess.CompletedProcess[str]:
    """A command in a pod: its exit code, which is 1 also where there is no connection, and what it printed.

    `within`: seconds for all of it. Raises CommandError after that.
    """
    try:
        return _run("exec", *_in(namespace), pod, "--", *command, within=within)
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{' '.join(command)} in pod {pod} has not ended after {within:g} s") from error


def may(verb: str, resource: str, namespace: str) -> bool:
    """Whether this user may do that, as far as the API server says."""
    return not _run("auth", "can-i", verb, resource, _PATIENCE, *_in(namespace)).stdout.startswith("no")


def create(manifests: Sequence[Manifest]) -> None:
    """Make objects that only a command needs, for a moment, and none that is there already. Raises CommandError."""
    _with_input("create", manifests, "--field-manager=kubectl-sluice")


def remove(manifests: Sequence[Manifest]) -> None:
    """Remove them again. Raises CommandError."""
    _with_input("delete", manifests, "--ignore-not-found", "--wait=false")


def _with_input(verb: str, manifests: Sequence[Manifest], *options: str) -> None:
    together = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    done = _run(verb, *options, _PATIENCE, "--filename=-", given=together)
    if done.returncode:
        raise CommandError(f"kubectl {verb}: {_why(done)}")


def _in(namespace: str | None) -> Sequence[str]:
    return [] if namespace is None else [f"--namespace={namespace}"]


def _kubectl(*arguments: str, absent: dict[str, Any] | None = None) -> dict[str, Any]:
    """The answer; `absent` if kubectl prints nothing."""
    done = _run(*arguments, *([] if arguments[0] == "wait" else [_PATIENCE]), "--output=json")
    if done.returncode:
        raise CommandError(f"kubectl {' '.join(arguments)}: {_why(done)}")
    if absent is not None and not done.stdout.strip():
        return absent
    answer: dict[str, Any] = foreign_json.decoded(done.stdout.encode())
    return answer


def _why(done: subprocess.CompletedProcess[str]) -> str:
    """What kubectl says of its failure, without the log of its libraries."""
    said = [line for line in done.stderr.splitlines() if not _LOG_LINE.match(line)]
    return "\n".join(said).strip() or done.stderr.strip() or f"exit code {done.returncode}"


def _run(*arguments: str, given: str | None = None, within: float | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - the user's own kubectl, without a shell
            ["kubectl", *arguments],  # noqa: S607
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=within,
        )
    except FileNotFoundError as error:
        raise CommandError("kubectl is not on the PATH: install it, or read a record from a file (--record)") from error
