"""The policy of Sluice: its own e-processes, on three objectives as in the documentation."""

import numpy as np
from numpy.typing import NDArray

from sluice_operator.evalues import budget, bursts
from sluice_operator.evalues.arm import Arm, Floats
from sluice_operator.evalues.chain import Pods
from sluice_operator.evalues.objective import Counts, Criterion, Known, Margin, ObjectiveEvidence
from sluice_operator.evalues.silence import Silence
from tests.simulation.world import COMPARED, Answers, Random, World, record

BIN_SECONDS = 15.0
LATENCY_LIMIT = 4  # index of 200 ms among the bounds
LIMITS = {"errors": 0.001, "latency": 0.05, "accuracy": 0.30}


def arms(name: str, answers: Answers) -> Counts:
    """An objective's counts of one tick."""
    match name:
        case "errors":
            arm = answers.errors_arm()
        case "accuracy":
            arm = answers.wrong_arm()
        case _:
            return Counts(answers.over_arm(LATENCY_LIMIT), answers.over_arm(COMPARED))
    return Counts(arm, Arm(arm.requests[None], arm.bad[None]))


def known(name: str, past: Answers) -> Known:
    counts = arms(name, past)
    compared, judged = (
        bursts.learn(bursts.Record(one.requests, one.bad, BIN_SECONDS)) for one in (counts.compared, counts.judged)
    )
    return Known(compared, judged, float(counts.judged.requests.sum()), float(counts.judged.bad.sum()))


class Evidence:
    """Of all objectives of a batch of runs that share a record."""

    def __init__(self, world: World, margins: dict[str, tuple[Margin, ...]], hours: float, random: Random) -> None:
        past = record(world, hours, BIN_SECONDS, random)
        stable, canary = world.pods
        self.of = {
            name: ObjectiveEvidence(
                Criterion(True, LIMITS[name], margins[name]), known(name, past), Pods(canary, stable), world.tick
            )
            for name in LIMITS
        }
        self._silence = Silence()

    def observe(self, weight: Floats, canary: Answers, stable: Answers) -> None:
        for name, one in self.of.items():
            one.observe(arms(name, canary), arms(name, stable), proven=True)
        self._silence.observe(weight, canary.requests, stable.requests)

    def failed(self, alpha: float) -> NDArray[np.bool_]:
        """Which runs are to be taken back."""
        worse = budget.averaged([one.log_worse for one in self.of.values()])
        beyond = budget.averaged([np.minimum(one.log_beyond, one.log_stable_inside) for one in self.of.values()])
        return (
            (worse >= budget.log_bar(alpha, budget.COMPARISON))
            | (beyond >= budget.log_bar(alpha, budget.LIMITS))
            | (self._silence.log_evalue >= budget.log_bar(alpha, budget.SILENCE))
        )

    def cleared(self, step: int, beta: float) -> NDArray[np.bool_]:
        return np.asarray(np.all([one.log_cleared(step) >= np.log(1 / beta) for one in self.of.values()], axis=0))
