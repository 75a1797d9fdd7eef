"""What people can ask of a rollout, in each of its phases."""

from __future__ import annotations

from dataclasses import replace as replace_seen
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api.command import Asked, Verb, text_of
from sluice_operator.api.observation import (
    HostTrouble,
    NotAnswered,
    Observation,
    RouteEdit,
    Signatures,
    Unreachable,
    Unresolved,
    Workload,
)
from sluice_operator.api.run import Answer, Outcome, Phase
from sluice_operator.api.status import Abandoned, Result, Retiring, Status, Verdict
from sluice_operator.rollout.decide import decide
from sluice_operator.rollout.roles import serves
from tests.unit.sluice_operator.build import (
    FAIL,
    LIVE,
    LOST,
    NOW,
    PASS,
    ROLLOUT,
    SPEC,
    STEPS,
    UNDECIDED,
    At,
    a_spec,
    again,
    an_observation,
    at,
    both_ready,
    condition,
    not_live,
    pods,
    promoting,
    resolved,
    revision,
    rolling_back,
    signature,
    stable_on,
    starting,
    stepping,
    swapped,
    watching,
    with_status,
)

JANE = "kubectl-sluice:jane"
OF_2 = revision(2).revision
HOLDS = Verdict(Result.UNDECIDED, "ErrorRateAboveLimit", "errors 5% breaks its limit", holding=("errors",))


def asking(seen: Observation, verb: str, of: str = OF_2, step: int = 0) -> Observation:
    """`seen`, with a command that Jane has just written."""
    return replace_seen(seen, command=Asked(text_of(Verb(verb), of, step, seen.now), JANE, seen.now))


def answered(status: Status) -> tuple[Answer, str]:
    assert status.last_command is not None
    return status.last_command.answer, status.last_command.message


def refusal(seen: Observation) -> str:
    """Why the command does nothing."""
    status = decide(seen)
    answer, message = answered(status)
    assert answer is Answer.REFUSED
    assert (status.phase, status.weight) == (seen.status.phase, seen.status.weight)
    return message


def paused_steps(*pauses: dict[str, Any] | None) -> dict[str, Any]:
    """A rollout whose steps have these pauses."""
    steps = [{**step, "pause": pause} if pause is not None else step for step, pause in zip(STEPS, pauses, strict=True)]
    return {**ROLLOUT, "canary": {"steps": steps}}


def with_spec(seen: Observation, **changes: Any) -> Observation:
    """As `seen`, with another spec, which the run began with."""
    spec = a_spec(**changes)
    run = seen.status.run
    assert run is not None
    run = replace(run, rollout=spec.rollout, objectives=spec.objectives, steps=spec.rollout.canary.steps)
    return replace_seen(with_status(seen, run=run), spec=spec)


# Commands in general


def test_a_command_is_taken_once() -> None:
    """The annotation stays, and its id is remembered."""
    seen = asking(stepping(), "pause")
    first = again(seen)
    resumed = again(asking(first, "resume"))
    assert resumed.status.run is not None
    assert resumed.status.run.pause is None
    later = again(resumed)
    assert later.status.run is not None
    assert later.status.run.pause is None


def test_the_answer_says_who_asked_and_when() -> None:
    """In status, and in the history of the run."""
    aborted = asking(stepping(), "abort")
    ended = decide(again(aborted, weight=LIVE))
    last = ended.last_command
    assert last is not None
    assert (last.by, last.at, last.id) == (JANE, aborted.now, aborted.command and aborted.command.text)
    assert ended.history[0].commands == (last,)
    assert ended.history[0].reason == "Aborted"


@pytest.mark.parametrize("verb", ["pause", "undo", "abort"])
def test_no_command_leaves_requests_to_a_canary_without_pods(verb: str) -> None:
    """Weight 0 comes first, and the answer in the next pass."""
    gone = stepping(workloads=both_ready(2, 0))
    first = decide(asking(gone, verb))
    assert (first.weight and first.weight.desired, first.last_command) == (0, None)
    second = decide(again(asking(gone, verb), workloads=both_ready(2, 0)))
    assert (second.weight and second.weight.desired, answered(second)[0] is Answer.ACCEPTED) == (0, verb != "undo")


def test_a_text_that_is_no_command_is_refused() -> None:
    """With what to write instead."""
    seen = replace_seen(stepping(), command=Asked("abort it!", JANE, NOW))
    assert "write <verb>/<revision>/<step>/<time>" in refusal(seen)


def test_a_command_of_a_copied_object_is_not_carried_out() -> None:
    """Whoever copies an object, or restores a backup of it, copies the annotation, too."""
    seen = asking(an_observation(), "abort")
    assert "older than the status" in answered(decide(seen))[1]


def test_a_status_that_was_made_anew_carries_out_no_old_command() -> None:
    """One that is adopted from what serves has no lastCommand, and the annotation may be weeks old."""
    asked = asking(promoted(), "undo").command
    adopted = with_status(promoted(), last_command=None, phase_started_at=promoted().now + timedelta(hours=1))
    later = replace_seen(adopted, now=adopted.now + timedelta(hours=2), command=asked)
    assert "so it may be an old one" in refusal(later)


def test_a_command_that_is_written_again_is_not_carried_out_again() -> None:
    """A re-sync from Git, or somebody's apply of an old file, brings back the text: nothing new was asked for."""
    first = asking(stepping(), "pause")
    resumed = again(asking(again(first), "resume"))
    resynced = replace_seen(again(resumed, after=600), command=first.command)
    assert "it was answered before (Accepted)" in refusal(resynced)
    assert condition(decide(resynced), "Paused")[0] == "False"
    assert decide(asking(again(resynced), "abort")).phase is Phase.ROLLING_BACK


def test_a_command_of_an_earlier_run_is_not_carried_out_again() -> None:
    """The history knows it when the run does not any more."""
    aborted = asking(stepping(), "abort")
    ended = again(again(aborted, weight=LIVE))
    retried = again(again(asking(ended, "retry")))
    assert retried.status.phase is Phase.STARTING
    assert "it was answered before" in refusal(replace_seen(retried, command=aborted.command))


@pytest.mark.parametrize(
    ("verb", "minutes", "answer"),
    [
        (Verb.ABORT, -60, Answer.ACCEPTED),
        (Verb.PAUSE, -60, Answer.ACCEPTED),
        (Verb.PROMOTE, -9, Answer.ACCEPTED),
        (Verb.PROMOTE, 60, Answer.ACCEPTED),
        (Verb.PROMOTE, -11, Answer.REFUSED),
    ],
)
def test_clocks_may_differ(verb: Verb, minutes: float, answer: Answer) -> None:
    """That of a person, that of the operator and that of the API server; and no emergency is refused for one."""
    seen = stepping()
    asked = Asked(text_of(verb, OF_2, 0, seen.now + timedelta(minutes=minutes)), JANE, seen.now)
    status = decide(replace_seen(seen, command=asked))
    assert answered(status)[0] is answer
    assert answer is Answer.ACCEPTED or "look at your clock, and ask again" in answered(status)[1]


@pytest.mark.parametrize(
    ("verb", "minutes", "answer"),
    [
        (Verb.PROMOTE_FULL, 9, Answer.ACCEPTED),
        (Verb.PROMOTE_FULL, 11, Answer.REFUSED),
        (Verb.ABORT, 300, Answer.ACCEPTED),
        (Verb.PAUSE, 300, Answer.ACCEPTED),
    ],
)
def test_a_command_that_waited_long_for_an_operator_is_refused(verb: Verb, minutes: float, answer: Answer) -> None:
    """Whoever asked has gone on to something else. An emergency is carried out however late it is seen."""
    seen = asking(stepping(), verb)
    status = decide(replace_seen(seen, now=seen.now + timedelta(minutes=minutes)))
    assert answered(status)[0] is answer
    assert answer is Answer.ACCEPTED or "no operator has seen it for ten minutes: ask again" in answered(status)[1]


def test_a_person_whose_clock_is_slow_does_not_wait_long() -> None:
    """The API server's time of the write counts as well."""
    seen = asking(stepping(), "promote")
    assert seen.command is not None
    slow = text_of(Verb.PROMOTE, OF_2, 0, seen.now - timedelta(minutes=9))
    later = replace_seen(seen, now=seen.now + timedelta(minutes=5), command=replace_seen(seen.command, text=slow))
    assert answered(decide(later))[0] is Answer.ACCEPTED


def test_a_time_without_a_zone_is_read_as_utc() -> None:
    """A person who types a command by hand stops no decision."""
    seen = stepping()
    asked = Asked(f"abort/{OF_2}/0/{seen.now:%Y-%m-%dT%H:%M:%S}", JANE, seen.now)
    assert decide(replace_seen(seen, command=asked)).phase is Phase.ROLLING_BACK


@pytest.mark.parametrize("text", ["\x7f" * 250_000, "abort/" + "a" * 250_000 + "/0/2026-03-01T12:00:00Z"])
def test_the_answer_to_a_huge_text_is_short(text: str) -> None:
    """It is part of the status, whose size has a limit: a rollback in the same run must still be written."""
    seen = stepping()
    status = decide(replace_seen(seen, command=Asked(text, JANE, seen.now)))
    assert answered(status)[0] is Answer.REFUSED
    assert len(answered(status)[1]) < 300


def test_no_command_needs_registry_or_metrics() -> None:
    """With both down, each one that a person may need in an emergency works."""
    down: dict[str, Any] = {"resolution": Unreachable("no answer"), "verdict": LOST}
    assert decide(asking(stepping(**down), "abort")).phase is Phase.ROLLING_BACK
    assert decide(asking(watching(**down), "undo")).phase is Phase.ROLLING_BACK
    assert decide(asking(stepping(**down), "promote-full")).phase is Phase.PROMOTING
    assert answered(decide(asking(stepping(**down), "pause")))[0] is Answer.ACCEPTED


# Abort


@pytest.mark.parametrize(
    ("seen", "back"),
    [
        (starting(), At(Phase.ROLLING_BACK, "1", "2", weight=0, live=0, outcome=Outcome.REJECTED)),
        (stepping(), At(Phase.ROLLING_BACK, "1", "2", weight=0, live=10, outcome=Outcome.REJECTED)),
        (promoting(), At(Phase.ROLLING_BACK, "1", "2", weight=0, live=50, step=1, outcome=Outcome.REJECTED)),
        (watching(), At(Phase.ROLLING_BACK, "1", "2", step=1, outcome=Outcome.REJECTED)),
    ],
)
def test_an_abort_takes_traffic_back_in_the_same_pass(seen: Observation, back: At) -> None:
    """Whatever the step, because it may have just moved."""
    aborted = decide(asking(seen, "abort", step=7))
    assert at(aborted) == back
    assert [(entry.revision, entry.reason, entry.message) for entry in aborted.rejected] == [
        (OF_2, "Aborted", f"models:/iris/2 was aborted by {JANE}")
    ]


def test_what_was_aborted_stays_rejected_under_other_objectives() -> None:
    """No objective decided that, so none can forget it."""
    settled = again(again(asking(stepping(), "abort")), weight=LIVE)
    later = again(settled, spec=a_spec(objectives=SPEC["objectives"][:1]))
    assert later.status.phase is Phase.STABLE
    assert decide(later).phase is Phase.STABLE


def test_an_abort_waits_for_no_proof_of_a_swap() -> None:
    """All pods of both revisions are there, so the way back is as short as the way on."""
    aborted = decide(asking(swapped(), "abort"))
    assert (aborted.phase, aborted.stable and aborted.stable.model.version) == (Phase.ROLLING_BACK, "1")


@pytest.mark.parametrize("verb", ["abort", "undo"])
def test_nobody_goes_back_to_a_revision_without_pods(verb: str) -> None:
    """No answer at all is worse than the answers of a bad model."""
    seen = watching(workloads=pods((revision(2), 2)))
    assert refusal(asking(seen, verb)) == "models:/iris/1 has no ready pods to go back to"


def test_an_abort_during_a_rollback_is_accepted() -> None:
    """It asks for what happens anyway."""
    assert answered(decide(asking(rolling_back(), "abort")))[0] is Answer.ACCEPTED


def deadline_over(**changes: Any) -> Observation:
    """Version 2 is rolled back without a verdict, and would be tried again."""
    seen = with_spec(stepping(), rollout={**ROLLOUT, "onDeadline": "Rollback"})
    return again(again(seen, after=5 * 3600, verdict=UNDECIDED), **changes)


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [
        (deadline_over(), Outcome.ABANDONED),
        (again(stepping(resolution=resolved(1))), Outcome.WITHDRAWN),
        (again(stepping(resolution=resolved(3))), Outcome.SUPERSEDED),
    ],
)
def test_what_is_aborted_on_its_way_back_does_not_come_again(seen: Observation, outcome: Outcome) -> None:
    """Whatever ended its run: a person has said no to this revision, and no time and no alias brings it back."""
    assert (seen.status.phase, at(seen.status).outcome) == (Phase.ROLLING_BACK, outcome)
    aborted = again(asking(seen, "abort"), weight=LIVE, resolution=resolved(2))
    assert answered(aborted.status) == (
        Answer.ACCEPTED,
        "traffic goes back already, and models:/iris/2 is rejected",
    )
    ended = again(aborted, workloads=pods((revision(1), 2)))
    assert [(entry.model, entry.reason) for entry in ended.status.rejected] == [("models:/iris/2", "Aborted")]
    assert (ended.status.abandoned, ended.status.history[0].outcome) == (None, Outcome.REJECTED)
    assert at(decide(again(ended, after=24 * 3600)))[:2] == (Phase.STABLE, "1")


def test_what_is_aborted_on_its_way_back_takes_the_requests_of_nobody() -> None:
    """Stable dies before weight 0 is proven: what a person took out does not become stable for that."""
    gone: dict[str, Any] = {"workloads": pods((revision(2), 1)), "weight": not_live()}
    aborted = again(asking(again(stepping(resolution=resolved(1))), "abort"), **gone)
    assert decide(aborted).phase is Phase.ROLLING_BACK
    assert at(decide(again(aborted, after=3600, **gone)))[:2] == (Phase.STABLE, "1")


def test_a_second_abort_of_an_undo_rejects_nobody() -> None:
    """Two people who press at once say nothing against what served before."""
    undone = again(asking(promoted(), "undo"), workloads=both_ready(2, 2))
    aborted = again(asking(undone, "abort", of=revision(1).revision), workloads=both_ready(2, 2))
    pressed = again(
        asking(replace_seen(aborted, now=aborted.now + timedelta(seconds=1)), "abort", of=revision(1).revision)
    )
    assert answered(pressed.status)[0] is Answer.ACCEPTED
    assert (at(pressed.status).outcome, [entry.reason for entry in pressed.status.rejected]) == (
        Outcome.WITHDRAWN,
        ["Undone"],
    )


def test_an_abort_of_another_revision_is_refused() -> None:
    """It was meant for a run that is over."""
    assert f"the run is one of {OF_2}" in refusal(asking(stepping(), "abort", of="k3v9q2x7ma"))


def test_a_first_revision_cannot_be_aborted() -> None:
    """There is nothing to go back to, and the message says what to do."""
    first = again(an_observation())
    assert "name another model" in refusal(asking(first, "abort", of=revision(1).revision))


def test_without_a_run_there_is_nothing_to_abort() -> None:
    """The message says what serves."""
    assert "no rollout is under way, models:/iris/1 serves" in refusal(asking(stable_on(1), "abort"))


# Pause and resume


def test_a_paused_run_keeps_its_weight_and_does_not_pass() -> None:
    """Until it is resumed; then it goes on with the evidence that it has by then."""
    paused = again(asking(stepping(), "pause", step=9), weight=LIVE, verdict=PASS)
    assert condition(paused.status, "Paused")[:2] == ("True", "PausedByCommand")
    assert paused.status.message.startswith(f"paused by {JANE}; since 12:00:0")
    held = again(paused, after=3600, weight=LIVE, verdict=PASS)
    assert at(held.status) == at(stepping().status)
    resumed = again(asking(held, "resume"), verdict=PASS)
    assert at(decide(resumed)).step == 1


def test_a_failed_verdict_acts_in_a_pause() -> None:
    """A pause holds what goes forward, never what goes back."""
    paused = again(asking(stepping(), "pause"), verdict=FAIL)
    assert decide(paused).phase is Phase.ROLLING_BACK


def test_a_paused_start_gets_no_traffic() -> None:
    """Its pods become ready meanwhile."""
    paused = again(asking(starting(), "pause"), workloads=both_ready(), weight=LIVE, smoke=LIVE)
    assert at(decide(paused)) == At(Phase.STARTING, "1", "2", weight=0, live=0)
    resumed = again(asking(paused, "resume"), workloads=both_ready(), weight=LIVE, smoke=LIVE)
    assert decide(resumed).phase is Phase.STEPPING


def test_a_pause_puts_a_promotion_off() -> None:
    """The roles are not swapped yet, so the canary goes back to its last step."""
    paused = again(asking(promoting(), "pause"), verdict=PASS)
    assert at(decide(paused)) == At(Phase.STEPPING, "1", "2", weight=50, live=50, step=1)


def test_a_paused_watch_keeps_the_previous_revision() -> None:
    """However long; then the watch ends."""
    paused = again(asking(watching(), "pause"), after=10_000, verdict=UNDECIDED)
    assert at(decide(paused)) == At(Phase.WATCHING, "2", previous="1", step=1)
    resumed = again(asking(paused, "resume", step=1), verdict=UNDECIDED)
    assert at(decide(resumed)).phase is Phase.STABLE


def test_a_canary_that_loses_its_pods_in_a_pause_gets_its_weight_back() -> None:
    """With its pods. A person who pauses at 10 % means 10 %."""
    paused = again(asking(stepping(), "pause"))
    gone = again(paused, workloads=pods((revision(1), 2)))
    assert at(gone.status).weight == 10
    assert at(decide(gone)).weight == 0
    back = again(again(gone, workloads=both_ready()), workloads=both_ready())
    assert at(back.status).weight == 10


def test_a_paused_canary_gets_its_weight_back_with_as_many_pods_as_stable_needs() -> None:
    """Stable was scaled up by somebody: 10 % of its requests are more than the spec's replicas would answer."""
    wide = Workload(ready=20, pods=20, scaled_to=20)
    paused = again(asking(stepping(), "pause"), workloads={**both_ready(), revision(1).revision: wide})
    gone = again(paused, workloads={revision(1).revision: wide})
    for ready, weight in ((1, 0), (3, 10)):
        workloads = {revision(1).revision: wide, OF_2: Workload(ready=ready)}
        assert at(decide(again(again(gone), workloads=workloads))).weight == weight


def test_a_pause_outlives_another_host() -> None:
    """The run begins again on the new route, and goes no further than that."""
    paused = again(asking(stepping(), "pause"))
    moved = a_spec(traffic={"ingress": {"className": "nginx", "host": "new.example.com"}})
    begun = again(again(paused, spec=moved), workloads=both_ready(), weight=LIVE, smoke=LIVE)
    held = decide(again(begun, weight=LIVE, smoke=LIVE))
    assert (held.phase, condition(held, "Paused")[:2]) == (Phase.STARTING, ("True", "PausedByCommand"))
    resumed = again(asking(begun, "resume"), weight=LIVE, smoke=LIVE)
    assert decide(resumed).phase is Phase.STEPPING


def test_a_pause_does_not_use_up_the_deadline() -> None:
    """A run that was paused for a night is not rolled back in the morning for being late."""
    rollback = {**ROLLOUT, "onDeadline": "Rollback"}
    paused = again(asking(with_spec(stepping(), rollout=rollback), "pause"), verdict=UNDECIDED)
    resumed = again(asking(again(paused, after=5 * 3600), "resume"), after=60, verdict=UNDECIDED, weight=LIVE)
    assert decide(resumed).phase is Phase.STEPPING
    late = again(resumed, after=4 * 3600, verdict=UNDECIDED)
    assert decide(late).phase is Phase.ROLLING_BACK


def test_resume_is_fenced_by_its_step() -> None:
    """A person who wants to leave one pause does not want to leave the next one, too."""
    paused = again(asking(stepping(), "pause"))
    assert "meant for step 4, the run is at step 1" in refusal(asking(paused, "resume", step=3))
    assert refusal(asking(stepping(), "resume")) == "it is not paused"


# Pauses of steps


def test_a_step_with_a_pause_waits_for_a_person() -> None:
    """Once it has passed, at its weight."""
    seen = with_spec(stepping(verdict=PASS), rollout=paused_steps({}, None))
    paused = again(seen, after=3600, weight=LIVE, verdict=PASS)
    assert at(paused.status) == at(stepping().status)
    assert condition(paused.status, "Paused")[1] == "PausedByStep"
    assert "step 1 of 2 has passed" in condition(paused.status, "Paused")[2]
    held = again(paused, weight=LIVE, verdict=PASS)
    assert at(held.status).step == 0
    resumed = again(asking(held, "resume"), verdict=PASS, weight=LIVE)
    assert at(decide(resumed)).step == 1


def test_a_timed_pause_ends_by_itself() -> None:
    """And evidence decides what follows: without metrics nothing does."""
    seen = with_spec(stepping(verdict=PASS), rollout=paused_steps({"duration": "10m"}, None))
    paused = again(seen, after=599, weight=LIVE, verdict=PASS)
    assert at(decide(paused)).step == 0
    over = again(paused, after=2, weight=LIVE, verdict=LOST)
    assert over.status.run is not None
    ended = again(over, weight=LIVE, verdict=LOST)
    assert ended.status.run is not None
    assert ended.status.run.pause is None
    assert at(decide(ended)).step == 0
    assert at(decide(replace_seen(ended, verdict=PASS))).step == 1


def test_promote_leaves_a_pause() -> None:
    """A step that has passed and pauses is an approval: the promotion is not without proof."""
    seen = with_spec(stepping(verdict=PASS), rollout=paused_steps({}, None))
    paused = again(seen, verdict=PASS, weight=LIVE)
    promoted = decide(asking(paused, "promote"))
    assert at(promoted).step == 1
    assert promoted.run is not None
    assert (promoted.run.pause, promoted.run.reason) == (None, "")


# Promote


def test_promote_leaves_out_a_step_and_says_so() -> None:
    """What was not proven is told when the run has ended."""
    promoted = decide(asking(stepping(verdict=UNDECIDED), "promote"))
    assert at(promoted) == At(Phase.STEPPING, "1", "2", weight=10, live=10, step=1)
    assert promoted.run is not None
    assert (promoted.run.reason, promoted.run.message) == (
        "PromotedByHand",
        f"models:/iris/2 was promoted by {JANE} without a Pass of step 1 of 2",
    )


def put_off(promoted: Observation) -> Observation:
    """The canary has lost its pods before the swap and has them again: it is in its step anew, at its weight."""
    back = again(again(promoted, workloads=both_ready(2, 0)), workloads=both_ready(2, 1))
    assert back.status.phase is Phase.STEPPING
    return back


def passes(seen: Observation) -> Observation:
    """It has the Pass of its step, and of the next one if there is one."""
    while seen.status.phase is Phase.STEPPING:
        proven = again(again(seen, workloads=both_ready(2, 2)), weight=LIVE)
        seen = again(again(proven, verdict=PASS), workloads=both_ready(2, 1))
    return seen


def reason(seen: Observation) -> str:
    assert seen.status.run is not None
    return seen.status.run.reason


def test_a_promotion_that_was_put_off_and_then_passed_is_not_told_as_unproven() -> None:
    """By hand or at the deadline: all steps have passed in the end."""
    by_hand = again(asking(stepping(verdict=UNDECIDED), "promote-full"), workloads=both_ready(2, 1))
    late = with_spec(stepping(), rollout={**ROLLOUT, "onDeadline": "PromoteIfClean"})
    clean = replace(UNDECIDED, clean=True)
    at_deadline = again(again(late, after=5 * 3600, verdict=clean), workloads=both_ready(2, 1))
    for promoted, told in ((by_hand, "PromotedByHand"), (at_deadline, "PromotedUnproven")):
        assert (promoted.status.phase, reason(promoted)) == (Phase.PROMOTING, told)
        passed = passes(put_off(promoted))
        assert (passed.status.phase, reason(passed)) == (Phase.PROMOTING, "")


def test_a_step_that_was_left_out_is_told_whatever_passes_later() -> None:
    """Also if the promotion is put off, and the last step passes twice."""
    skipped = again(asking(stepping(verdict=UNDECIDED), "promote"), workloads=both_ready(2, 2))
    passed = passes(put_off(passes(skipped)))
    assert (passed.status.phase, reason(passed)) == (Phase.PROMOTING, "PromotedByHand")
    assert passed.status.run is not None
    assert "without a Pass of step 1 of 2" in passed.status.run.message


def test_promote_full_leaves_out_all_steps() -> None:
    """The canary gets all of its pods before its traffic, as in each promotion."""
    promoted = decide(asking(stepping(verdict=UNDECIDED), "promote-full"))
    assert at(promoted) == At(Phase.PROMOTING, "1", "2", weight=10, live=10)


def test_promote_is_fenced_by_revision_and_step() -> None:
    """Two people who press at once move it by one step."""
    first = again(asking(stepping(verdict=UNDECIDED), "promote"))
    assert "meant for step 1, the run is at step 2" in refusal(asking(first, "promote"))
    assert "the run is one of" in refusal(asking(stepping(), "promote", of="k3v9q2x7ma"))


def test_a_canary_that_fails_is_not_promoted() -> None:
    """The rollback follows in the next pass."""
    seen = asking(stepping(verdict=FAIL), "promote-full")
    assert refusal(seen) == "the verdict is Fail: errors 5% breaks its limit"
    assert decide(again(seen, verdict=FAIL)).phase is Phase.ROLLING_BACK


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (starting(), "is starting, and has not been proven to answer"),
        (promoting(), "takes over already"),
        (watching(), "takes over already"),
        (rolling_back(), "traffic goes back: errors 5% breaks its limit"),
        (stable_on(1), "no rollout is under way"),
    ],
)
def test_there_is_nothing_to_promote(seen: Observation, message: str) -> None:
    """The message says what happens instead."""
    assert message in refusal(asking(seen, "promote", step=seen.status.run.step if seen.status.run else 0))


# Retry


def settled_rejection() -> Observation:
    """Version 2 was rejected, and version 1 serves alone."""
    return again(again(rolling_back(weight=LIVE)))


def test_a_rejection_names_the_ways_to_try_again() -> None:
    """For the person who reads the message."""
    message = settled_rejection().status.message
    assert "kubectl sluice retry iris -n models, or another rollout.retryToken, tries it again" in message


def two_rejections() -> Observation:
    """Versions 2 and then 3 were rejected, and the spec names version 2 again."""
    starting = again(again(settled_rejection(), resolution=resolved(3)), workloads=third_ready())
    third = revision(3).revision
    ended = again(again(again(asking(starting, "abort", of=third), weight=LIVE), weight=LIVE), resolution=resolved(2))
    assert {entry.revision for entry in ended.status.rejected} == {OF_2, third}
    return again(ended)


def third_ready() -> dict[str, Workload]:
    return pods((revision(1), 2), (revision(3), 1))


def test_what_the_spec_names_is_the_first_of_the_rejected_ones() -> None:
    """Clients that take one entry try that again which the condition speaks of, also after a later rejection."""
    seen = two_rejections()
    assert [entry.model for entry in seen.status.rejected] == ["models:/iris/2", "models:/iris/3"]
    assert "models:/iris/2 was rejected before" in condition(seen.status, "Stalled")[2]
    retried = again(asking(seen, "retry", of=seen.status.rejected[0].revision))
    assert at(decide(retried))[:3] == (Phase.STARTING, "1", "2")
    assert [entry.model for entry in retried.status.rejected] == ["models:/iris/3"]
    back = again(again(seen, resolution=resolved(1)))
    assert [entry.model for entry in back.status.rejected] == ["models:/iris/3", "models:/iris/2"]


def test_an_abandoned_revision_does_not_hide_the_rejected_one_that_the_spec_names() -> None:
    """Clients retry the abandoned revision first, so only one that the spec may still name is remembered as that."""
    third = Abandoned(revision(3).revision, "DeadlineExceeded", "too little evidence", generation=1)
    seen = again(with_status(settled_rejection(), abandoned=third))
    assert seen.status.abandoned is None
    assert seen.status.phase is Phase.STABLE
    named = replace_seen(settled_rejection(), resolution=resolved(3))
    assert decide(with_status(named, abandoned=third)).abandoned == third


def test_retry_forgets_all_that_keeps_a_revision_from_being_tried() -> None:
    """It may have been rejected under these objectives and abandoned under others: one retry is enough."""
    both = Abandoned(OF_2, "DeadlineExceeded", "too little evidence", generation=1)
    retried = again(asking(with_status(settled_rejection(), abandoned=both), "retry"))
    assert (retried.status.rejected, retried.status.abandoned) == ((), None)
    assert decide(retried).phase is Phase.STARTING


def test_retry_forgets_a_rejection() -> None:
    """The new run tells who asked for it."""
    retried = again(asking(settled_rejection(), "retry"))
    assert retried.status.rejected == ()
    again_started = decide(retried)
    assert at(again_started) == At(Phase.STARTING, "1", "2", weight=0, live=0)
    assert again_started.run is not None
    assert [command.by for command in again_started.run.commands] == [JANE]


def test_a_revision_that_was_not_rejected_cannot_be_retried() -> None:
    """The message says where to look."""
    assert "is not among the rejected ones" in refusal(asking(stable_on(1), "retry"))


def test_another_retry_token_forgets_a_rejection() -> None:
    """Once, of the version that the spec names. It restarts nothing."""
    token = a_spec(rollout={**ROLLOUT, "retryToken": "2"})
    retried = again(settled_rejection(), spec=token)
    started = decide(retried)
    assert (at(started).phase, started.retry_token) == (Phase.STARTING, "2")
    running = replace_seen(stepping(), spec=token)
    assert at(decide(running)) == at(stepping().status)
    rejected = again(again(replace_seen(running, verdict=FAIL)), weight=LIVE)
    assert decide(again(rejected)).phase is Phase.STABLE


def test_a_retry_token_waits_for_the_registry() -> None:
    """What the spec names is not known before."""
    lost = again(
        settled_rejection(), spec=a_spec(rollout={**ROLLOUT, "retryToken": "2"}), resolution=Unreachable("no answer")
    )
    assert decide(lost).rejected != ()
    assert at(decide(again(lost, resolution=resolved(2)))).phase is Phase.STARTING


# Undo


def promoted() -> Observation:
    """Version 2 was promoted, its watch is over, and version 1 is gone."""
    ended = again(watching(), after=16 * 60)
    return again(again(ended), after=3600, workloads=pods((revision(2), 2)))


def test_undo_in_the_watch_turns_the_roles_back() -> None:
    """The previous revision still has all of its pods."""
    undone = decide(asking(watching(), "undo"))
    assert at(undone) == At(Phase.ROLLING_BACK, "1", "2", step=1, outcome=Outcome.REJECTED)
    assert undone.rejected[0].reason == "Undone"


def test_undo_brings_back_the_revision_before_without_steps() -> None:
    """As soon as it answers; what serves is rejected, so that the spec does not bring it back."""
    undone = again(asking(promoted(), "undo"), workloads=pods((revision(2), 2)))
    assert at(undone.status) == At(Phase.STARTING, "2", "1", weight=0, live=0)
    assert [(entry.model, entry.reason) for entry in undone.status.rejected] == [("models:/iris/2", "Undone")]
    full = both_ready(2, 2)
    answers = again(undone, workloads=full, weight=LIVE, smoke=LIVE)
    waits = again(undone, workloads=full)
    assert waits.status.phase is Phase.STARTING
    promoting_back = again(answers, workloads=full, weight=LIVE)
    assert promoting_back.status.phase is Phase.PROMOTING
    swapping = again(promoting_back, workloads=full, swap=LIVE)
    watched = again(swapping, workloads=full)
    assert at(watched.status) == At(Phase.WATCHING, "1", previous="2")
    ended = again(watched, after=16 * 60, workloads=full, alias_version="1")
    settled = again(ended, workloads=pods((revision(1), 2)))
    assert at(settled.status) == At(Phase.STABLE, "1", outcome=Outcome.PROMOTED)
    assert settled.status.history[0].reason == "Returned"
    assert settled.status.alias is not None
    assert settled.status.alias.version == "1"
    assert decide(again(settled)).phase is Phase.STABLE


def test_undo_of_a_dead_stable_proves_nothing_first() -> None:
    """Callers get no answer from it, so weight 0 cannot be shown, and one pod is better than none."""
    undone = again(asking(promoted(), "undo"), workloads=pods((revision(1), 1)))
    assert decide(undone).phase is Phase.SWAPPING


UNDER_WAY = (Phase.STARTING, Phase.PROMOTING, Phase.SWAPPING, Phase.FAILOVER, Phase.ROLLING_BACK)


def undo_in(phase: Phase) -> Observation:
    """An undo of version 2, whose version 1 has one of its two pods."""
    undone = again(asking(promoted(), "undo"), workloads=both_ready(1, 2))
    return undone if phase is Phase.STARTING else again(with_status(undone, phase=phase))


@pytest.mark.parametrize("phase", UNDER_WAY)
@pytest.mark.parametrize(
    "disturbed",
    [
        {"route_edits": (RouteEdit("Ingress iris-canary", "jane"),)},
        {"host_trouble": HostTrouble("HostAnsweredByAnother", "another", by_another=True)},
        {"workloads": both_ready(0, 2)},
        {"workloads": both_ready(1, 0)},
    ],
)
def test_an_undo_is_never_asked_for_a_step(phase: Phase, disturbed: dict[str, Any]) -> None:
    """It has none, in whatever phase it is when its route or its pods are disturbed, and for however long."""
    seen = again(undo_in(phase), **disturbed)
    seen = again(seen, workloads=both_ready(1, 2), route_edits=(), host_trouble=None)
    for _ in range(5):
        seen = again(seen, after=20, weight=LIVE, smoke=LIVE, swap=LIVE)
        assert seen.status.phase is not Phase.STEPPING
    aborted = decide(asking(seen, "abort", of=revision(1).revision))
    assert answered(aborted)[0] is Answer.ACCEPTED or aborted.phase is Phase.STABLE


def test_undo_is_not_refused_for_the_signature_of_what_served_before() -> None:
    """A promotion that was allowed to change it can be undone, also when the spec allows that no more."""
    undone = again(asking(promoted(), "undo"), workloads=both_ready(2, 2))
    changed = Signatures(stable=signature("a", "b", "c"), canary=signature("a", "b"))
    answers = again(undone, weight=LIVE, smoke=LIVE, signatures=changed)
    assert decide(answers).phase is Phase.PROMOTING


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.WATCHING])
def test_an_undo_that_is_aborted_leaves_nothing_behind(phase: Phase) -> None:
    """What serves is not rejected, and what served before can be brought back another time."""
    undone = again(asking(promoted(), "undo"), workloads=both_ready(2, 2))
    if phase is Phase.WATCHING:
        undone = again(again(again(undone, weight=LIVE, smoke=LIVE)), swap=LIVE)
        undone = again(undone)
    assert undone.status.phase is phase
    aborted = again(asking(undone, "abort", of=revision(1).revision), weight=LIVE, swap=LIVE)
    ended = again(aborted, weight=LIVE, swap=LIVE)
    assert at(ended.status)[:2] == (Phase.STABLE, "2")
    assert ended.status.rejected == ()
    assert decide(asking(again(ended, after=60), "undo")).phase is Phase.STARTING


@pytest.mark.parametrize("silent", [NotAnswered(), Unreachable("no answer"), Unresolved("AliasNotFound", "none")])
def test_an_undo_that_is_aborted_while_the_registry_is_silent_rejects_nobody(silent: Any) -> None:
    """Nobody knows then whether the spec names the revision, and undo can be asked for again."""
    undone = again(asking(promoted(), "undo"), workloads=both_ready(2, 2))
    aborted = again(asking(replace_seen(undone, resolution=silent), "abort", of=revision(1).revision), weight=LIVE)
    ended = again(aborted, weight=LIVE)
    assert (at(ended.status)[:2], ended.status.rejected) == ((Phase.STABLE, "2"), ())
    assert decide(asking(again(ended, after=60), "undo")).phase is Phase.STARTING


def test_an_undo_that_is_aborted_does_not_begin_again_by_itself() -> None:
    """Where the spec names the revision, it is remembered as any other one that was aborted."""
    undone = again(asking(promoted(), "undo"), workloads=both_ready(2, 2), resolution=resolved(1))
    aborted = again(asking(undone, "abort", of=revision(1).revision), weight=LIVE)
    ended = again(aborted, weight=LIVE)
    assert at(decide(again(ended)))[:2] == (Phase.STABLE, "2")
    assert [entry.reason for entry in ended.status.rejected] == ["Aborted"]


def test_undo_needs_a_revision_that_served_before() -> None:
    """Without one, the message says what to do."""
    assert "name the model to go back to" in refusal(asking(stable_on(1), "undo", of=revision(1).revision))


def test_undo_is_fenced_by_the_revision_that_serves() -> None:
    """Two people who press at once go back once."""
    assert f"revision {OF_2} (models:/iris/2) serves now" in refusal(asking(promoted(), "undo", of="k3v9q2x7ma"))


def test_undo_waits_for_no_rollout() -> None:
    """While one is under way, abort is the word."""
    assert "kubectl sluice abort" in refusal(asking(stepping(), "undo", of=revision(1).revision))


def test_a_newer_version_waits_for_an_undo() -> None:
    """A person wants out; what the pipeline registers meanwhile comes afterwards."""
    undone = again(asking(promoted(), "undo"), resolution=resolved(3), workloads=both_ready(2, 2))
    assert at(decide(undone)) == At(Phase.STARTING, "2", "1", weight=0, live=0)


# spec.suspend


def test_undo_goes_back_under_suspend_and_nothing_follows() -> None:
    """A change freeze is when somebody needs it. A newer version waits, before the return and after it."""
    full, frozen = both_ready(2, 2), a_spec(suspend=True)
    undone = again(asking(replace_seen(promoted(), spec=frozen), "undo"), workloads=full, resolution=resolved(3))
    assert at(undone.status) == At(Phase.STARTING, "2", "1", weight=0, live=0)
    back = again(again(undone, weight=LIVE, smoke=LIVE), swap=LIVE)
    watched = again(again(back, swap=LIVE))
    assert at(watched.status) == At(Phase.WATCHING, "1", previous="2")
    ended = again(again(watched, after=16 * 60))
    assert at(ended.status)[:2] == (Phase.STABLE, "1")
    assert condition(ended.status, "Paused")[2] == "spec.suspend is true: models:/iris/3 waits until it is false"
    assert decide(again(ended, after=3600)).phase is Phase.STABLE


def test_an_undo_under_suspend_that_loses_stable_takes_over() -> None:
    """Pods on both sides died in the swap: what comes back takes over as soon as it answers, as without suspend."""
    frozen = replace_seen(promoted(), spec=a_spec(suspend=True))
    undone = again(asking(frozen, "undo"), workloads=both_ready(2, 2), resolution=resolved(3))
    swapping = again(again(again(undone, weight=LIVE, smoke=LIVE)))
    assert swapping.status.phase is Phase.SWAPPING
    alone = again(again(replace_seen(swapping, workloads={}), after=3600), workloads=pods((revision(1), 2)))
    assert alone.status.phase is Phase.FAILOVER
    watched = again(again(alone), swap=LIVE)
    assert at(decide(watched)) == At(Phase.WATCHING, "1", previous="2")


def test_an_undo_takes_over_whatever_the_spec_names_and_whoever_was_undone_comes_back() -> None:
    """After an undo the spec still names what was undone; that gets no requests back because both died for a while."""
    undone = again(asking(promoted(), "undo"), workloads=both_ready(2, 2), resolution=resolved(2))
    swapping = again(again(again(undone, weight=LIVE, smoke=LIVE)))
    nobody = again(replace_seen(swapping, workloads=both_ready(0, 0), swap=not_live()), after=3600, swap=not_live())
    assert decide(nobody).phase is Phase.FAILOVER
    assert condition(decide(nobody), "Stalled")[2].endswith("; kubectl sluice abort iris -n models ends the undo")
    for ready in (both_ready(1, 0), both_ready(2, 2)):
        assert at(decide(again(nobody, workloads=ready))) == At(Phase.SWAPPING, "2", "1", weight=0, live=0)


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.PROMOTING])
def test_an_undo_that_nobody_answers_yields_to_a_newer_version(phase: Phase) -> None:
    """At once; until there is one, the condition says what is wrong and which command ends it."""
    silent = {revision(1).revision: Workload(trouble="pod waits for MLflow"), revision(2).revision: Workload()}
    dead = again(undo_in(phase), workloads=silent, resolution=resolved(2))
    state, reason, message = condition(decide(dead), "Stalled")
    assert (state, reason) == ("True", "StableDead")
    assert "models:/iris/1 (pod waits for MLflow)" in message
    assert message.endswith("; kubectl sluice abort iris -n models ends the undo")
    assert at(decide(again(dead, after=60)))[:3] == (phase, "2", "1")
    ended = again(dead, resolution=resolved(3))
    status = decide(again(ended))
    assert (at(status)[:3], status.history[0].outcome) == ((Phase.STARTING, "2", "3"), Outcome.SUPERSEDED)


def test_an_undo_that_was_aborted_answers_for_a_stable_that_dies_then() -> None:
    """Nothing is known against what served before. It stays no longer than stable is dead, and is no undo any more."""
    aborted = again(asking(undo_in(Phase.STARTING), "abort", of=revision(1).revision), resolution=resolved(2))
    dead = replace_seen(aborted, workloads=pods((revision(1), 2)), weight=not_live())
    status = decide(dead)
    assert (at(status)[:3], serves(status)) == ((Phase.FAILOVER, "2", "1"), status.canary)
    seen = again(dead, workloads=both_ready(2, 2))
    for _ in range(6):
        seen = again(seen, after=61, weight=LIVE, smoke=LIVE)
    assert at(seen.status)[:2] == (Phase.STABLE, "2")


def test_a_retiring_revision_answers_while_an_undo_has_no_ready_pods() -> None:
    """No ready pod stands unused, whatever people have asked for."""
    retires = Retiring(revision(3), 1, NOW + timedelta(days=1))
    only = pods((revision(3), 1))
    dead = replace_seen(with_status(undo_in(Phase.STARTING), retiring=(retires,)), workloads=only)
    status = decide(again(dead))
    assert (at(status)[:3], serves(status)) == ((Phase.FAILOVER, "2", "3"), status.canary)


def test_a_suspended_object_starts_no_run() -> None:
    """What waits is told."""
    suspended = replace_seen(stable_on(1, resolution=resolved(2)), spec=a_spec(suspend=True))
    status = decide(suspended)
    assert status.phase is Phase.STABLE
    assert condition(status, "Paused") == (
        "True",
        "Suspended",
        "spec.suspend is true: models:/iris/2 waits until it is false",
    )
    assert decide(again(suspended, spec=a_spec())).phase is Phase.STARTING


def test_a_suspended_run_stands_still_and_can_go_back() -> None:
    """A newer version, other terms and a Pass change nothing; a Fail and an abort do."""
    suspended = again(replace_seen(stepping(), spec=a_spec(suspend=True)), weight=LIVE, verdict=PASS)
    assert condition(suspended.status, "Paused")[1] == "Suspended"
    assert at(decide(suspended)) == at(stepping().status)
    assert at(decide(replace_seen(suspended, resolution=resolved(3)))) == at(stepping().status)
    other = a_spec(suspend=True, objectives=SPEC["objectives"][:1])
    assert at(decide(replace_seen(suspended, spec=other))) == at(stepping().status)
    assert decide(replace_seen(suspended, verdict=FAIL)).phase is Phase.ROLLING_BACK
    assert decide(asking(suspended, "abort")).phase is Phase.ROLLING_BACK
    assert "spec.suspend is true" in refusal(asking(suspended, "promote"))
    assert "spec.suspend is true" in refusal(asking(suspended, "resume"))
    on = again(replace_seen(suspended, spec=a_spec()), weight=LIVE, verdict=PASS)
    assert at(decide(on)).step == 1


def test_a_pause_outlives_suspend() -> None:
    """A person asked for it, and the spec did not."""
    paused = again(asking(stepping(), "pause"))
    suspended = again(replace_seen(paused, spec=a_spec(suspend=True)))
    back = decide(replace_seen(suspended, spec=a_spec()))
    assert condition(back, "Paused")[1] == "PausedByCommand"


# onFail: Hold


def test_a_failed_objective_that_holds_pauses_the_run() -> None:
    """It never rolls back, and the condition has its sentence."""
    paused = again(stepping(verdict=HOLDS), weight=LIVE, verdict=HOLDS)
    assert at(decide(paused)) == at(stepping().status)
    state, reason, message = condition(paused.status, "Paused")
    assert (state, reason) == ("True", "PausedByObjective")
    assert message.startswith("errors 5% breaks its limit; since 12:00:0")
    assert "kubectl sluice resume iris -n models goes on, kubectl sluice abort iris -n models goes back" in message


def test_a_person_goes_on_in_spite_of_it() -> None:
    """Then the objective decides nothing in this run any more."""
    paused = again(stepping(verdict=HOLDS), weight=LIVE, verdict=HOLDS)
    resumed = again(asking(paused, "resume"), weight=LIVE, verdict=HOLDS)
    assert resumed.status.run is not None
    assert (resumed.status.run.overruled, resumed.status.run.pause) == (("errors",), None)
    assert decide(resumed).run == resumed.status.run
    promoted = decide(asking(paused, "promote-full"))
    assert (promoted.phase, promoted.run and promoted.run.overruled) == (Phase.PROMOTING, ("errors",))


def test_it_holds_a_watch_and_puts_off_a_promotion() -> None:
    """In each phase in which the run is judged."""
    watched = again(watching(verdict=HOLDS), after=10_000, verdict=HOLDS)
    assert decide(watched).phase is Phase.WATCHING
    put_off = decide(promoting(verdict=HOLDS))
    assert (put_off.phase, condition(put_off, "Paused")[1]) == (Phase.STEPPING, "PausedByObjective")
