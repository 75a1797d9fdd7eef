"""The verdict on a run as status shows it: what was decided, with its sentence and numbers. Pure."""

from sluice_operator.analysis import decision, wording
from sluice_operator.analysis.decision import Stage
from sluice_operator.analysis.run_evidence import Findings
from sluice_operator.api.spec import Confidence
from sluice_operator.api.status import METRICS_UNAVAILABLE, Result, Verdict

VERDICT_VERSION = 1  # raised by each change after which the same counts may get another verdict, or other numbers


def judge(findings: Findings, confidence: Confidence, stage: Stage, crashes: int) -> Verdict:
    """The verdict on the canary. `crashes`: terminations of its containers beyond stable's in this run."""
    return wording.verdict(decision.decide(findings, confidence, stage, crashes), confidence, crashes)


def lost(message: str, before: Verdict | None, crashes: int) -> Verdict:
    """Nothing to see is not a failure: Undecided, with the last numbers kept in view. Crashes are seen all the same."""
    objectives = before.objectives if before else ()
    if decision.has_crashed(crashes):
        return Verdict(Result.FAIL, wording.CRASHING, wording.crashing(crashes), objectives)
    return Verdict(Result.UNDECIDED, METRICS_UNAVAILABLE, message, objectives)
