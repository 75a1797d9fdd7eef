"""Whether a model's own hold-out shows that it is good enough, before anybody meets it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.analysis import hold_out
from sluice_operator.analysis.hold_out import refusal
from sluice_operator.api.observation import HoldOut, HoldOuts, Refusal, Rows, Unreachable, Unresolved
from sluice_operator.api.spec import Confidence, Spec
from sluice_operator.api.status import Outcome, Phase
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    LIVE,
    At,
    a_look,
    a_spec,
    again,
    at,
    both_ready,
    pods,
    resolved,
    revision,
    stable_on,
)


def asks(**accuracy: Any) -> Spec:
    return a_spec(objectives=[{"name": "trained", "accuracy": {"source": "Training", **accuracy}}])


ASKED, COMPARED, BOTH = asks(min="0.70"), asks(maxDrop="0.02"), asks(min="0.70", maxDrop="0.02")
MISSING = Unresolved("HoldOutMissing", "run 'r2' has no metrics correct and total")
UNTOLD = Unresolved("HoldOutMissing", "run 'r' of iris/1 has no tag sluice.holdout.correct")


def counted(correct: int, total: int) -> HoldOut:
    """A run that does not tell which rows were right."""
    return HoldOut("iris/2", correct, total, UNTOLD)


GOOD, BAD = counted(43, 45), counted(23, 45)


def pair(lost: int, gained: int, total: int = 1000) -> HoldOuts:
    """What version 2 and version 1 did on the same hold-out, whose other rows both got right."""
    every = (1 << total) - 1
    canary = every ^ ((1 << lost) - 1)
    stable = every ^ (((1 << gained) - 1) << lost)
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
def test_a_hold_out_must_show_what_is_asked_for(trained: Any, expected: Refusal | None) -> None:
    """By an exact bound: 80 % of thirty examples do not show 70 %."""
    assert refusal(ASKED.objectives[0], HoldOuts(trained), Confidence()) == expected


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
    """The sentence has the rows that tell the models apart, the bound, and whether it is worse or just not known."""
    assert refusal(COMPARED.objectives[0], trained, Confidence()) == Refusal(reason, message)


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (4, 5), (6, 0), (0, 400)])
def test_a_drop_that_is_ruled_out_does_not(lost: int, gained: int) -> None:
    """Also where a few rows are lost and none is gained: the margin is what the user allows."""
    assert refusal(COMPARED.objectives[0], pair(lost, gained), Confidence()) is None


def rows(digest: str, total: int = 45, model: str = "iris/1") -> HoldOut:
    return HoldOut(model, total, total, Rows(digest, (1 << total) - 1))


AS_THE_TRAINER = "log it as `python -m sluice_trainer` does, or leave maxDrop out"
NO_MEASURE = "trained: the stable version is no measure: "
UNTIL = ": leave maxDrop out until a version that can be compared with is stable"


@pytest.mark.parametrize(
    ("canary", "stable", "reason", "message"),
    [
        (MISSING, rows("ab"), "HoldOutMissing", f"trained: {MISSING.message}"),
        (counted(43, 45), rows("ab"), "HoldOutMissing", f"trained: {UNTOLD.message}: {AS_THE_TRAINER}"),
        (rows("ab"), MISSING, "HoldOutMissing", f"{NO_MEASURE}{MISSING.message}{UNTIL}"),
        (rows("ab"), counted(43, 45), "HoldOutMissing", f"{NO_MEASURE}{UNTOLD.message}{UNTIL}"),
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
def test_what_cannot_be_compared_is_refused_with_what_to_do(
    canary: Any, stable: Any, reason: str, message: str
) -> None:
    """Totals alone are never compared: they would not show whose rows were easier."""
    assert refusal(COMPARED.objectives[0], HoldOuts(canary, stable), Confidence()) == Refusal(reason, message)


@pytest.mark.parametrize("trained", [HoldOuts(Unreachable("x"), rows("ab")), HoldOuts(rows("ab"), Unreachable("x"))])
def test_an_outage_compares_nothing(trained: HoldOuts) -> None:
    """Neither for nor against the model."""
    assert refusal(COMPARED.objectives[0], trained, Confidence()) is None


@pytest.mark.parametrize("canary", [GOOD, MISSING])
def test_a_first_version_has_nothing_to_drop_from(canary: Any) -> None:
    """A comparison alone then asks for nothing."""
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
    """The first that does not is told."""
    found = refusal(BOTH.objectives[0], trained, Confidence())
    assert (found and found.reason) == reason


def test_hold_outs_are_asked_for_where_they_decide() -> None:
    """Stable's only for a comparison, and not with the same model under other settings; none for a dry run."""
    one, two = revision(1), revision(2)
    other_settings = revision(2, a_spec(server__replicas=2, server__image="registry.example/other:1"))
    assert hold_out.whose(a_spec().objectives, two, one) == ()
    assert hold_out.whose(ASKED.objectives, two, one) == (two,)
    assert hold_out.whose(COMPARED.objectives, two, one) == (two, one)
    assert hold_out.whose(COMPARED.objectives, two, None) == (two,)
    assert other_settings.revision != two.revision
    assert hold_out.whose(COMPARED.objectives, two, other_settings) == (two,)
    assert hold_out.whose([replace(COMPARED.objectives[0], dry_run=True)], two, one) == ()


def ready(spec: Spec = ASKED, **changes: Any) -> Any:
    begun = again(stable_on(1, resolution=resolved(2), spec=spec))
    return again(begun, workloads=both_ready(), weight=LIVE, smoke=LIVE, **changes)


@pytest.mark.parametrize(
    ("spec", "trained"), [(ASKED, HoldOuts(BAD)), (ASKED, HoldOuts(MISSING)), (BOTH, pair(lost=19, gained=3))]
)
def test_a_model_that_its_hold_out_does_not_show_gets_no_traffic(spec: Spec, trained: HoldOuts) -> None:
    """It is rejected while stable keeps serving."""
    back = decide(ready(spec, hold_outs=trained))
    assert at(back) == At(Phase.ROLLING_BACK, stable="1", canary="2", weight=0, live=0, outcome=Outcome.REJECTED)
    assert len(back.rejected) == 1


@pytest.mark.parametrize(("spec", "trained"), [(ASKED, HoldOuts(GOOD)), (BOTH, pair(lost=3, gained=4))])
def test_a_model_with_a_good_hold_out_goes_on(spec: Spec, trained: HoldOuts) -> None:
    """To its first weight."""
    assert decide(ready(spec, hold_outs=trained)).phase is Phase.STEPPING


def test_a_dry_run_rejects_nobody() -> None:
    """However bad the hold-out is."""
    spec = replace(ASKED, objectives=(replace(ASKED.objectives[0], dry_run=True),))
    assert decide(ready(spec, hold_outs=HoldOuts(BAD))).phase is Phase.STEPPING


@pytest.mark.parametrize(
    ("spec", "trained"),
    [(ASKED, HoldOuts(Unreachable("no answer"))), (COMPARED, HoldOuts(rows("ab"), Unreachable("no answer")))],
)
def test_a_registry_in_trouble_rejects_nobody(spec: Spec, trained: HoldOuts) -> None:
    """The start waits until the hold-outs are known."""
    assert decide(ready(spec, hold_outs=trained)).phase is Phase.STARTING


def test_a_first_version_must_show_it_too() -> None:
    """Serving a bad model to everybody is no better than to a tenth."""
    first = again(a_look(spec=ASKED), workloads=pods((revision(1), 2)), hold_outs=HoldOuts(BAD))
    status = decide(first)
    assert (status.phase, status.stable) == (Phase.STARTING, None)
    assert status.run is not None
    assert status.run.outcome is Outcome.REJECTED
