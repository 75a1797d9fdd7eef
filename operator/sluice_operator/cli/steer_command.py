"""`kubectl sluice abort|pause|resume|promote|retry|undo NAME`: asks the operator, and waits for its answer.

The command is an annotation of the object (docs/commands.md). Whether it is carried out, the operator decides.
"""

import argparse
from datetime import UTC, datetime
from typing import Any

from sluice_operator.api import names
from sluice_operator.api.command import Asked, Verb, asked, text_of
from sluice_operator.api.owner import Manifest
from sluice_operator.api.run import Answer, Phase
from sluice_operator.api.status import Status
from sluice_operator.cli import cluster, text_table, times
from sluice_operator.cli.cluster import CommandError

_ATTEMPTS = 5  # the operator writes status in the same moment now and then
_MANAGER = "kubectl-sluice"
_LONGEST_MANAGER = 128  # bytes that the API server accepts
_HELP = {
    Verb.ABORT: "roll back at once, and reject the revision that is tried",
    Verb.PAUSE: "keep the weight, and go no further",
    Verb.RESUME: "end a pause",
    Verb.PROMOTE: "leave this step, whatever the evidence says",
    Verb.RETRY: "try a rejected revision again",
    Verb.UNDO: "go back to the revision that was stable before, and reject the one that is left",
}


def add(verbs: Any) -> None:
    """Add the verbs and their options."""
    for verb, text in _HELP.items():
        parser = verbs.add_parser(str(verb), help=text)
        parser.add_argument("name", help="name of the ModelDeployment")
        parser.add_argument("-n", "--namespace", help="default: that of the current context")
        parser.add_argument("--timeout", default="30s", help="how long to wait for the answer; default 30s")
        if verb is Verb.PROMOTE:
            parser.add_argument("--full", action="store_true", help="leave out all steps")
        if verb is Verb.RETRY:
            parser.add_argument("--revision", help="default: the rejected one that the spec names, else the last one")
        parser.set_defaults(run=run, verb=verb)


def run(options: argparse.Namespace) -> int:
    """Write the command, and print the operator's answer. Exit code 1 if it refuses."""
    seconds = times.duration(options.timeout).total_seconds()
    body, command = _ask(options)
    status = cluster.answered(body, command.id, seconds)
    if status is None or status.last_command is None:
        still = f"{command.id} still waits, and an operator that runs may carry it out"
        raise CommandError(f"no answer within {options.timeout}: {still}; {_to_take_back(body)}")
    print(text_table.plain(f"{status.last_command.answer}: {status.last_command.message}"))
    return int(status.last_command.answer is Answer.REFUSED)


def _ask(options: argparse.Namespace) -> tuple[Manifest, Asked]:
    """Write the annotation. Returns the object as it was before."""
    user = cluster.user_name()
    manager = _manager(user)
    for _ in range(_ATTEMPTS):
        body = cluster.found(options.name, options.namespace)
        status, before = cluster.status_of(body), asked(body)
        if before is not None and (status.last_command is None or status.last_command.id != before.id):
            waits = f"{before.id} has not been answered yet: try again when it is, or see whether an operator runs"
            raise CommandError(f"{waits}; {_to_take_back(body)}")
        verb = Verb.PROMOTE_FULL if options.verb is Verb.PROMOTE and options.full else options.verb
        text = text_of(verb, _revision(options, status), status.run.step if status.run else 0, datetime.now(UTC))
        if cluster.annotate(body, names.ANNOTATION_COMMAND, text, manager):
            return body, Asked(text)
    raise CommandError(f"{options.name} was changed {_ATTEMPTS} times meanwhile: try again")


def _manager(user: str) -> str:
    """Whose write it is, as far as the API server takes it."""
    named = "".join(letter for letter in f"{_MANAGER}:{user}" if letter.isprintable())
    return named.encode()[:_LONGEST_MANAGER].decode(errors="ignore") if user else _MANAGER


def _to_take_back(body: Manifest) -> str:
    name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
    return f"kubectl annotate {names.KIND.lower()} {name} -n {namespace} {names.ANNOTATION_COMMAND}- takes it back"


def _revision(options: argparse.Namespace, status: Status) -> str:
    """What the command is meant for. Raises CommandError."""
    tried = status.run.canary.revision if status.run else None
    match options.verb:
        case Verb.UNDO:
            revision = status.stable.revision if status.stable else None
        case Verb.RETRY:
            revision = options.revision or _rejected(status, tried)
        case _:
            revision = tried
    if revision is None:
        raise CommandError(f"there is nothing to {options.verb}: {status.message or 'nothing is known of it yet'}")
    return str(revision)


def _rejected(status: Status, tried: str | None) -> str | None:
    """The revision that was given up: the one that the spec names is first in status."""
    if status.phase is Phase.INITIALIZING:
        return tried
    if status.abandoned is not None:
        return status.abandoned.revision
    return status.rejected[0].revision if status.rejected else None
