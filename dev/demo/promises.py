"""What the demo promises, and whether each promise was kept. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dev.demo import tally
from dev.demo.status import Status
from dev.demo.traffic import Request


@dataclass(frozen=True, slots=True)
class Promise:
    text: str
    kept: bool
    found: str  # what was the case; printed if the promise was not kept


@dataclass(frozen=True, slots=True)
class Pod:
    """A server pod at one time. Its `uid` changes when it is replaced."""

    uid: str
    name: str
    restarts: int


def promoted(status: Status, uri: str, version: str, champion: str | None) -> list[Promise]:
    """After the good run: the better version serves, and the alias in the registry names it."""
    ended = status.outcome_of(uri)
    stable = status.stable.model.version if status.stable else "none"
    return [
        Promise(
            f"version {version} was promoted",
            ended is not None and ended.outcome == "Promoted" and stable == version,
            f"run {ended.outcome if ended else 'not ended'}, stable {stable}: {status.message}",
        ),
        Promise(f"Sluice moved alias champion to version {version}", champion == version, f"champion is {champion}"),
    ]


def rejected(status: Status, uri: str, stays: str, champion: str | None) -> list[Promise]:
    """After the bad run: the version `stays` still serves, and the bad one is remembered as rejected."""
    ended, stable = status.outcome_of(uri), status.stable.model.version if status.stable else "none"
    succeeded = status.condition("RolloutSucceeded")
    remembered = [rejection for rejection in status.rejected if rejection.model == uri]
    return [
        Promise(
            f"{uri} was rejected and is remembered",
            ended is not None and ended.outcome == "Rejected" and bool(remembered),
            f"run {ended.outcome if ended else 'not ended'}, {len(remembered)} rejections of it: {status.message}",
        ),
        Promise(
            "condition RolloutSucceeded is False",
            status.has("RolloutSucceeded", "False"),
            f"it is {succeeded.status if succeeded else 'absent'}",
        ),
        Promise(f"version {stays} still serves", stable == stays, f"stable is {stable}"),
        Promise(f"alias champion still is version {stays}", champion == stays, f"champion is {champion}"),
    ]


def reached(phases: Collection[str], weights: Iterable[int], run: str) -> Promise:
    """The run went through all steps. `phases`: as `board.phase_and_step` writes them, each with its step."""
    missing = [weight for weight in weights if not any(phase.endswith(f" at {weight} %") for phase in phases)]
    wanted = ", ".join(f"{weight} %" for weight in missing)
    return Promise(f"the {run} went through every step", not missing, f"never seen at {wanted}")


def only_answers_now(requests: Sequence[Request], since: float, version: str) -> Promise:
    """After the end of the run, only the stable version answered."""
    answered = tally.answered_by(requests, since)
    found = ", ".join(f"{count} by {name}" for name, count in sorted(answered.items())) or "no requests"
    return Promise(f"then only version {version} answered", set(answered) == {version}, found)


def took_part(requests: Sequence[Request], versions: Iterable[str]) -> Promise:
    """Each version answered at least one real prediction."""
    answered = tally.answered_by(requests, 0.0)
    silent = [version for version in versions if not answered[version]]
    return Promise("each version answered real requests", not silent, f"none by {', '.join(silent)}")


def none_failed(requests: Sequence[Request]) -> Promise:
    failed = tally.failures(requests)
    first = f"{len(failed)} failed; the first {failed[0].kind} {failed[0].failure}" if failed else ""
    return Promise(f"0 of {len(requests)} requests failed", not failed, first)


def same_pods(earlier: Iterable[Pod], now: Iterable[Pod]) -> Promise:
    """All pods of the promoted revision are still there, and none was restarted. `earlier`: those during the run."""
    present = {pod.uid: pod for pod in now}
    gone = sorted({pod.name for pod in earlier if pod.uid not in present})
    restarted = sorted(pod.name for pod in present.values() if pod.restarts)
    found = f"replaced: {', '.join(gone) or 'none'}; restarted: {', '.join(restarted) or 'none'}"
    kept = bool(present) and not gone and not restarted
    return Promise("no pod of the promoted revision was restarted or replaced", kept, found)


def killed(kills: Mapping[str, int], restarts: int, runs: int) -> Promise:
    """Each run had at least one kill, and each kill ended the operator's process. `kills`: by run."""
    total = sum(kills.values())
    kept = len(kills) >= runs and restarts == total
    found = f"its container restarted {restarts} times; kills by run: {dict(kills)}"
    return Promise(f"the operator was killed {total} times and came back", kept, found)
