"""Sluice's policies: its own e-processes, on three objectives as in the documentation."""

from collections.abc import Mapping

import numpy as np

from sluice_operator.evalues import budget, bursts
from sluice_operator.evalues.arm import Arm, Floats
from sluice_operator.evalues.chain import Pods
from sluice_operator.evalues.objective import Counts, Criterion, Known, Margin, ObjectiveEvidence
from sluice_operator.evalues.silence import Silence
from sluice_operator.judging.ladder import automatic
from tests.simulation.runner import Bools, Verdicts, ramp
from tests.simulation.world import COMPARED, LIMIT_BOUND, Answers, Random, World, record

ALPHA = 0.05 * budget.WITHOUT_BURSTS
BETA = 0.05
BIN_SECONDS = 15.0
LIMITS = {"errors": 0.001, "latency": 0.05, "accuracy": 0.30}  # shares: errors, over 200 ms, wrong labels
RATIOS = {"errors": 2.0, "latency": 1.5}
MAX_DROP = 0.02  # of accuracy


def arms(name: str, answers: Answers) -> Counts:
    """An objective's counts of one tick."""
    match name:
        case "errors":
            arm = answers.errors_arm()
        case "accuracy":
            arm = answers.wrong_arm()
        case _:
            return Counts(answers.over_arm(LIMIT_BOUND), answers.over_arm(COMPARED))
    return Counts(arm, Arm(arm.requests[None], arm.bad[None]))


def known(name: str, past: Answers, worth: float = 0.0) -> Known:
    """`worth`: seconds that a shorter record is taken for."""
    counts = arms(name, past)
    compared, judged = (
        bursts.learn(bursts.Record(one.requests, one.bad, BIN_SECONDS), worth)
        for one in (counts.compared, counts.judged)
    )
    return Known(compared, judged, float(counts.judged.requests.sum()), float(counts.judged.bad.sum()))


class Evidence:
    """Of a batch of runs that share a record. Objectives are those of `margins`, which has one margin per step."""

    def __init__(
        self,
        world: World,
        margins: dict[str, tuple[Margin, ...]],
        random: Random,
        limits: Mapping[str, float] = LIMITS,
        worth: float = 0.0,
    ) -> None:
        self._limited = limits
        past = record(world, BIN_SECONDS, random)
        stable, canary = world.pods
        self.of = {
            name: ObjectiveEvidence(
                Criterion(True, limits.get(name), steps), known(name, past, worth), Pods(canary, stable), world.tick
            )
            for name, steps in margins.items()
        }
        self._silence = Silence()

    def observe(self, weight: Floats, canary: Answers, stable: Answers) -> None:
        for name, one in self.of.items():
            one.observe(arms(name, canary), arms(name, stable), proven=True)
        self._silence.observe(weight, canary.requests, stable.requests)

    def failed(self, alpha: float, steps: int) -> Bools:
        """Which runs are to be taken back. Silence is judged in each of `steps` by itself."""
        worse = budget.averaged([one.log_worse for one in self.of.values()])
        limited = [self.of[name] for name in self._limited]
        beyond = budget.averaged([np.minimum(one.log_beyond, one.log_stable_inside) for one in limited])
        return (
            (worse >= budget.log_bar(alpha, budget.COMPARISON))
            | (beyond >= budget.log_bar(alpha, budget.LIMITS))
            | (self._silence.log_evalue >= budget.log_bar(alpha, budget.SILENCE / steps))
        )

    def cleared(self, step: int, beta: float) -> Bools:
        return np.asarray(np.all([one.log_cleared(step) >= np.log(1 / beta) for one in self.of.values()], axis=0))


class Timed:
    """Five steps of six minutes, 10 to 50 %. What was not taken back by then is promoted (`PromoteIfClean`)."""

    STEPS = tuple((share, 6.0) for share in (0.1, 0.2, 0.3, 0.4, 0.5))

    def __init__(self, world: World, runs: int, random: Random) -> None:
        self._evidence = Evidence(world, dict.fromkeys(LIMITS, ()), random)
        self._runs, self._tick, self._seconds = runs, world.tick, 0.0

    def weights(self) -> Floats:
        return np.full(self._runs, ramp(self.STEPS, self._seconds))

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        self._evidence.observe(self.weights(), canary, stable)
        self._seconds += self._tick
        over = self._seconds >= 60 * sum(minutes for _, minutes in self.STEPS)
        return Verdicts(self._evidence.failed(ALPHA, len(self.STEPS)), np.full(self._runs, over))


def margins(steps: int) -> dict[str, tuple[Margin, ...]]:
    """The last step's margins are the objectives' own; each step before has twice those of its successor."""
    factors = [2.0 ** (steps - 1 - step) for step in range(steps)]
    return {
        "errors": tuple(Margin(ratio=RATIOS["errors"] * one, tolerance=LIMITS["errors"] * one) for one in factors),
        "latency": tuple(Margin(ratio=RATIOS["latency"] * one, tolerance=LIMITS["latency"] * one) for one in factors),
        "accuracy": tuple(Margin(drop=MAX_DROP * one) for one in factors),
    }


class Automatic:
    """The operator's own steps for the rate: the next one comes when this one's margins are ruled out."""

    def __init__(self, world: World, runs: int, random: Random) -> None:
        steps = automatic(world.rate)
        self._weights = np.array([step.weight / 100 for step in steps])
        self._evidence = Evidence(world, margins(len(steps)), random)
        self._least = (steps[0].min_requests, steps[0].min_duration.total_seconds())  # the same for all
        self._tick, self._step = world.tick, np.zeros(runs, int)
        self._requests, self._seconds = np.zeros(runs), np.zeros(runs)  # of the step

    def weights(self) -> Floats:
        return np.asarray(self._weights[np.minimum(self._step, len(self._weights) - 1)])

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        self._evidence.observe(self.weights(), canary, stable)
        self._requests += canary.requests
        self._seconds += self._tick
        steps = len(self._weights)
        cleared = np.stack([self._evidence.cleared(step, BETA) for step in range(steps)])
        at_step = np.arange(steps)[:, None] == self._step
        requests, seconds = self._least
        passed = (at_step & cleared).any(0) & (self._requests >= requests) & (self._seconds >= seconds)
        self._step += passed
        self._requests, self._seconds = np.where(passed, 0.0, self._requests), np.where(passed, 0.0, self._seconds)
        return Verdicts(self._evidence.failed(ALPHA, steps), self._step == steps)


class ClearsOnly:
    """One objective's own margin at a weight of 10 %, and no rollback: how often, and when, it says "safe"."""

    def __init__(self, objective: str, world: World, runs: int, random: Random) -> None:
        self._evidence = Evidence(world, {objective: margins(1)[objective]}, random)
        self._runs = runs

    def weights(self) -> Floats:
        return np.full(self._runs, 0.1)

    def judge(self, canary: Answers, stable: Answers) -> Verdicts:
        self._evidence.observe(self.weights(), canary, stable)
        return Verdicts(np.zeros(self._runs, bool), self._evidence.cleared(0, BETA))
