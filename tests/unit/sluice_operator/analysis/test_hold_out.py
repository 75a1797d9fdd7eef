"""Whether a model's hold-out shows that it is good enough, before it gets any traffic."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.analysis import hold_out
from sluice_operator.analysis.hold_out import refusal
from sluice_operator.api.observation import HoldOut, HoldOuts, Refusal, Rows, Unreachable, Unresolved
from sluice_operator.api.run import Outcome, Phase
from sluice_operator.api.spec import Confidence, Spec
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    LIVE,
    At,
    a_spec,
    again,
    an_observation,
    at,
    both_ready,
    pods,
    resolved,
    revision,
    stable_on,
)


def spec_with(**accuracy: Any) -> Spec:
    return a_spec(objectives=[{"name": "trained", "accuracy": {"source": "Training", **accuracy}}])


LIMITED, COMPARED = spec_with(min="0.70"), spec_with(maxDrop="0.02")
BOTH = spec_with(min="0.70", maxDrop="0.02")
MISSING = Unresolved("HoldOutMissing", "run 'r2' has no metrics correct and total")
NO_ROWS = Unresolved("HoldOutMissing", "run 'r' of iris/1 has no tag sluice.holdout.correct")


def counted(correct: int, total: int) -> HoldOut:
    """A hold-out of which it is not known which rows were right."""
    return HoldOut("iris/2", correct, total, NO_ROWS)


GOOD, BAD = counted(43, 45), counted(23, 45)


def pair(lost: int, gained: int, total: int = 1000) -> HoldOuts:
    """Versions 2 and 1 on the same hold-out. Both got the other rows right."""
    all_rows = (1 << total) - 1
    canary = all_rows ^ ((1 << lost) - 1)
    stable = all_rows ^ (((1 << gained) - 1) << lost)
    return HoldOuts(
        HoldOut("iris/2", total - lost, total, Rows("sha256:ab", canary)),
        HoldOut("iris/1", total - gained, total, Rows("sha256:ab", stable)),
    )


@pytest.mark.parametrize(
    ("trained", "expected"),
    [
        (GOOD, None),
        (
            BAD,
            Refusal(
                "TrainingAccuracyBelowLimit", "trained: 23 of 45 of the hold-out are right, which is less than 0.70"
            ),
        ),
        (
            counted(24, 30),
            Refusal(
                "HoldOutTooSmall",
                "trained: 24 of 30 of the hold-out are right, which shows only 0.643 and not 0.70:"
                " evaluate on more examples, or ask for less",
            ),
        ),
        (MISSING, Refusal("HoldOutMissing", "trained: run 'r2' has no metrics correct and total")),
        (Unreachable("no answer"), None),
    ],
)
def test_a_hold_out_must_show_the_accuracy_that_the_objective_wants(trained: Any, expected: Refusal | None) -> None:
    """By an exact bound: 24 right ones of 30 examples do not show 70 %."""
    assert refusal(LIMITED.objectives[0], HoldOuts(trained), Confidence()) == expected


SAME = "trained: of the same {} rows of the hold-out iris/2 got {} right that iris/1 got wrong and lost {}"


@pytest.mark.parametrize(
    ("trained", "reason", "message"),
    [
        (
            pair(lost=19, gained=3),
            "TrainingAccuracyWorseThanStable",
            f"{SAME.format(1000, 3, 19)}: a drop of 0.02 is not ruled out (at most 0.0312), and it is worse",
        ),
        (
            pair(lost=15, gained=10),
            "HoldOutTooSmall",
            f"{SAME.format(1000, 10, 15)}: a drop of 0.02 is not ruled out (at most 0.0212):"
            " evaluate both on more rows, or allow more",
        ),
        (
            pair(lost=0, gained=0, total=45),
            "HoldOutTooSmall",
            f"{SAME.format(45, 0, 0)}: a drop of 0.02 is not ruled out (at most 0.0787):"
            " evaluate both on more rows (at least 183), or allow more",
        ),
    ],
)
def test_a_drop_that_is_not_ruled_out_refuses(trained: HoldOuts, reason: str, message: str) -> None:
    """The message has the rows that only one model got right, the bound, and whether the canary is worse."""
    assert refusal(COMPARED.objectives[0], trained, Confidence()) == Refusal(reason, message)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (4, 5), (6, 0), (0, 400)])
def test_a_drop_that_is_ruled_out_does_not_refuse(lost: int, gained: int) -> None:
    """Also where a few rows are lost and none is gained: the user allows a drop as large as the margin."""
    assert refusal(COMPARED.objectives[0], pair(lost, gained), Confidence()) is None


def rows(digest: str, total: int = 45, model: str = "iris/1") -> HoldOut:
    return HoldOut(model, total, total, Rows(digest, (1 << total) - 1))


AS_THE_TRAINER = "log it as `python -m sluice_trainer` does, or leave maxDrop out"
NOT_COMPARABLE = "trained: the stable version cannot be compared with: "
UNTIL = ": leave maxDrop out until a version that can be compared with is stable"


@pytest.mark.parametrize(
    ("canary", "stable", "reason", "message"),
    [
        (MISSING, rows("ab"), "HoldOutMissing", f"trained: {MISSING.message}"),
        (counted(43, 45), rows("ab"), "HoldOutMissing", f"trained: {NO_ROWS.message}: {AS_THE_TRAINER}"),
        (rows("ab"), MISSING, "HoldOutMissing", f"{NOT_COMPARABLE}{MISSING.message}{UNTIL}"),
        (rows("ab"), counted(43, 45), "HoldOutMissing", f"{NOT_COMPARABLE}{NO_ROWS.message}{UNTIL}"),
        (
            rows("ab", model="iris/2"),
            rows("cd", 60),
            "HoldOutsDiffer",
            "trained: iris/2 and iris/1 were evaluated on different hold-outs (ab with 45 rows, cd with 60): evaluate"
            " both on the same rows, or leave maxDrop out",
        ),
        (
            rows("ab", model="iris/2"),
            rows("ab", 60),
            "HoldOutsDiffer",
            "trained: iris/2 and iris/1 were evaluated on different hold-outs (ab with 45 rows, ab with 60): evaluate"
            " both on the same rows, or leave maxDrop out",
        ),
    ],
)
def test_hold_outs_that_cannot_be_compared_are_refused_with_a_hint(
    canary: Any, stable: Any, reason: str, message: str
) -> None:
    """Totals are never compared without the rows, because the rows of one may be easier."""
    assert refusal(COMPARED.objectives[0], HoldOuts(canary, stable), Confidence()) == Refusal(reason, message)


@pytest.mark.parametrize("trained", [HoldOuts(Unreachable("x"), rows("ab")), HoldOuts(rows("ab"), Unreachable("x"))])
def test_a_registry_without_an_answer_refuses_no_model(trained: HoldOuts) -> None:
    """It is neither for nor against the model."""
    assert refusal(COMPARED.objectives[0], trained, Confidence()) is None


@pytest.mark.parametrize("canary", [GOOD, MISSING])
def test_a_first_version_has_nothing_to_drop_from(canary: Any) -> None:
    """An objective that only compares does not refuse it."""
    assert refusal(COMPARED.objectives[0], HoldOuts(canary), Confidence()) is None


@pytest.mark.parametrize(
    ("trained", "reason"),
    [
        (pair(lost=0, gained=0), None),
        (pair(lost=600, gained=600, total=1200), "TrainingAccuracyBelowLimit"),
        (pair(lost=19, gained=3), "TrainingAccuracyWorseThanStable"),
    ],
)
def test_a_limit_and_a_comparison_must_both_hold(trained: HoldOuts, reason: str | None) -> None:
    """The reason is of the first one that is broken."""
    refused = refusal(BOTH.objectives[0], trained, Confidence())
    assert (refused and refused.reason) == reason


def test_hold_outs_are_read_where_they_decide() -> None:
    """Stable's only for a comparison with another model; none for a dry run."""
    stable, canary = revision(1), revision(2)
    other_settings = revision(2, a_spec(server__replicas=2, server__image="registry.example/other:1"))
    assert hold_out.revisions_to_read(a_spec().objectives, canary, stable) == ()
    assert hold_out.revisions_to_read(LIMITED.objectives, canary, stable) == (canary,)
    assert hold_out.revisions_to_read(COMPARED.objectives, canary, stable) == (canary, stable)
    assert hold_out.revisions_to_read(COMPARED.objectives, canary, None) == (canary,)
    assert other_settings.revision != canary.revision
    assert hold_out.revisions_to_read(COMPARED.objectives, canary, other_settings) == (canary,)
    assert hold_out.revisions_to_read([replace(COMPARED.objectives[0], dry_run=True)], canary, stable) == ()


def ready(spec: Spec = LIMITED, **changes: Any) -> Any:
    """The observation of a run whose canary is ready for its first weight."""
    begun = again(stable_on(1, resolution=resolved(2), spec=spec))
    return again(begun, workloads=both_ready(), weight=LIVE, smoke=LIVE, **changes)


@pytest.mark.parametrize(
    ("spec", "trained"), [(LIMITED, HoldOuts(BAD)), (LIMITED, HoldOuts(MISSING)), (BOTH, pair(lost=19, gained=3))]
)
def test_a_model_that_is_refused_gets_no_traffic(spec: Spec, trained: HoldOuts) -> None:
    """It is rejected while stable keeps serving."""
    status = decide(ready(spec, hold_outs=trained))
    assert at(status) == At(Phase.ROLLING_BACK, stable="1", canary="2", weight=0, live=0, outcome=Outcome.REJECTED)
    assert len(status.rejected) == 1


@pytest.mark.parametrize(("spec", "trained"), [(LIMITED, HoldOuts(GOOD)), (BOTH, pair(lost=3, gained=4))])
def test_a_model_with_a_good_hold_out_gets_traffic(spec: Spec, trained: HoldOuts) -> None:
    """Its first weight is written."""
    assert decide(ready(spec, hold_outs=trained)).phase is Phase.STEPPING


def test_a_dry_run_rejects_no_model() -> None:
    """However bad the hold-out is."""
    spec = replace(LIMITED, objectives=(replace(LIMITED.objectives[0], dry_run=True),))
    assert decide(ready(spec, hold_outs=HoldOuts(BAD))).phase is Phase.STEPPING


@pytest.mark.parametrize(
    ("spec", "trained"),
    [(LIMITED, HoldOuts(Unreachable("no answer"))), (COMPARED, HoldOuts(rows("ab"), Unreachable("no answer")))],
)
def test_a_registry_without_an_answer_rejects_no_model(spec: Spec, trained: HoldOuts) -> None:
    """The start waits until the hold-outs are known."""
    assert decide(ready(spec, hold_outs=trained)).phase is Phase.STARTING


def test_a_first_version_needs_a_good_hold_out_too() -> None:
    """It would get all requests."""
    first = again(an_observation(spec=LIMITED), workloads=pods((revision(1), 2)), hold_outs=HoldOuts(BAD))
    status = decide(first)
    assert (status.phase, status.stable) == (Phase.INITIALIZING, None)
    assert status.run is not None
    assert status.run.outcome is Outcome.REJECTED
