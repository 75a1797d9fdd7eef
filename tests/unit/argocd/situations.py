"""Rollouts in all phases, with and without a pause, an undo, rejections and dead pods: what a person may find."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace as replace_seen

from msgspec.structs import replace

from sluice_operator.api.command import Asked, Verb, text_of
from sluice_operator.api.observation import Observation, Workload
from sluice_operator.api.run import Outcome
from sluice_operator.api.status import Abandoned
from sluice_operator.rollout.transitions import ended
from tests.unit.sluice_operator import blue_green
from tests.unit.sluice_operator.build import (
    FAIL,
    LIVE,
    PASS,
    again,
    an_observation,
    both_ready,
    pods,
    promoting,
    resolved,
    revision,
    rolling_back,
    stable_on,
    starting,
    stepping,
    swapped,
    watching,
    with_status,
)


def commanded(seen: Observation, verb: Verb, of: int) -> Observation:
    """After the operator has answered this command."""
    step = seen.status.run.step if seen.status.run else 0
    asked = Asked(text_of(verb, revision(of).revision, step, seen.now), "jane", seen.now)
    return again(replace_seen(seen, command=asked), workloads=seen.workloads)


def first_rejected() -> Observation:
    """There is nothing to go back to, so the run stays where it is."""
    seen = again(an_observation())
    assert seen.status.run is not None
    return with_status(seen, run=ended(seen.status.run, Outcome.REJECTED, "ModelRefused", "not a model", seen.now))


def promoted(first: int = 0) -> Observation:
    """Version 2 serves alone, or with pods of version 1 that are back."""
    settled = again(again(again(watching(), after=16 * 60)), after=3600)
    return replace_seen(settled, workloads=both_ready(first, 2))


def undone(seen: Observation) -> Observation:
    """Version 1 comes back."""
    return commanded(seen, Verb.UNDO, of=2)


def rejected() -> Observation:
    """Version 2 was rejected, and the spec still names it."""
    return again(again(rolling_back(weight=LIVE)))


def rejected_twice() -> Observation:
    """Then version 3, and the spec names version 2 again."""
    third = again(rejected(), resolution=resolved(3), workloads=pods((revision(1), 2), (revision(3), 1)))
    settled = again(again(commanded(again(third), Verb.ABORT, of=3), weight=LIVE), weight=LIVE)
    return again(settled, resolution=resolved(2))


def failing_over(first: int = 0) -> Observation:
    """The canary takes all requests; `first` pods of stable are ready again."""
    alone = pods((revision(2), 2))
    return replace_seen(again(stepping(workloads=alone), workloads=alone), workloads=both_ready(first, 2))


def abandoned() -> Observation:
    """Version 2 could not be judged."""
    entry = Abandoned(revision(2).revision, "DeadlineExceeded", "too little evidence", generation=1)
    return with_status(stable_on(1, resolution=resolved(2)), abandoned=entry)


def without_pods(seen: Observation, *versions: int) -> Observation:
    gone = {revision(version).revision: Workload() for version in versions}
    return replace_seen(seen, workloads={**seen.workloads, **gone})


_MAKERS: Mapping[str, Callable[[], Observation]] = {
    "new": an_observation,
    "initializing": lambda: again(an_observation()),
    "first rejected": first_rejected,
    "stable": lambda: stable_on(1),
    "starting": starting,
    "stepping": stepping,
    "last step": lambda: again(again(stepping(verdict=PASS))),
    "failed": lambda: with_status(stepping(), verdict=FAIL),
    "promoting": promoting,
    "swapping": swapped,
    "swapping, stable dead": lambda: without_pods(swapped(), 1),
    "swapping, both dead": lambda: without_pods(swapped(), 1, 2),
    "watching": watching,
    "watching, previous dead": lambda: without_pods(watching(), 1),
    "watching, both dead": lambda: without_pods(watching(), 1, 2),
    "rolling back": rolling_back,
    "rejected": rejected,
    "rejected twice": rejected_twice,
    "abandoned": abandoned,
    "failover": failing_over,
    "failover, stable back": lambda: failing_over(1),
    "promoted": promoted,
    "undo starts": lambda: undone(promoted()),
    "undo swaps": lambda: undone(replace_seen(promoted(), workloads=both_ready(2, 2))),
    "blue-green starts": lambda: blue_green.starting(blue_green.blue_green()),
    "blue-green waits": lambda: again(blue_green.answering(blue_green.blue_green(pause={}))),
    "blue-green takes over": lambda: again(blue_green.answering(blue_green.blue_green())),
    "undo failed": lambda: again(again(commanded(undone(promoted(2)), Verb.ABORT, of=1), weight=LIVE)),
}


def situations() -> Iterator[tuple[str, Observation]]:
    """Each as it is, paused by a person if it can be, and with `spec.suspend`."""
    for name, make in _MAKERS.items():
        seen = make()
        yield name, seen
        yield f"{name}, pause asked", commanded(seen, Verb.PAUSE, of=2)
        frozen = replace_seen(seen, spec=replace(seen.spec, suspend=True))
        yield f"{name}, suspended", again(frozen, workloads=seen.workloads)
