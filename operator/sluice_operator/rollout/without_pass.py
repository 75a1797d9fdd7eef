"""Which step of a run was left without a Pass, and how a promotion that did so is told. Pure.

It is told as long as it is true: a run whose promotion was put off is in that step again, and may pass it.
"""

from msgspec.structs import replace

from sluice_operator.api.run import NO_STEP, Run


def left(run: Run, reason: str, message: str) -> Run:
    """`run` as it leaves its present step without a Pass. The first step that was left so is the one that is told."""
    if run.left_step not in (NO_STEP, run.step):
        return run
    return replace(run, left_step=run.step, reason=reason, message=message)


def passed(run: Run) -> Run:
    """`run` as its present step has passed, whether or not it was left without a Pass before."""
    return replace(run, left_step=NO_STEP, reason="", message="") if run.left_step == run.step else run
