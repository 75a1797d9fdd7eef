"""The verdict on a run as status shows it: what was decided, with its sentence and numbers. Pure."""

from sluice_operator.analysis import decision, wording
from sluice_operator.analysis.decision import Stage
from sluice_operator.analysis.run_evidence import Findings
from sluice_operator.api.spec import Confidence
from sluice_operator.api.status import METRICS_UNAVAILABLE, Result, Verdict

VERDICT_VERSION = 1  # raised by each change after which the same counts may get another verdict, or other numbers


def judge(findings: Findings, confidence: Confidence, stage: Stage, crashes: int) -> Verdict:
    """The verdict on the canary. `crashes`: how many more of its containers than of stable's ended in this run."""
    return wording.verdict(decision.decide(findings, confidence, stage, crashes), confidence)


def lost(message: str, before: Verdict | None, crashes: int) -> Verdict:
    """The verdict without metrics: Undecided, with the numbers of the verdict before it. Crashes are known, and fail.

    `message`: why there are no metrics.
    """
    objectives = before.objectives if before else ()
    if (failure := decision.crashing(crashes)) is not None:
        return Verdict(Result.FAIL, wording.CRASHING, wording.crashing(failure), objectives)
    return Verdict(Result.UNDECIDED, METRICS_UNAVAILABLE, message, objectives)
