from typing import Any

from dev.demo import promises, status
from dev.demo.promises import Pod, Promise
from dev.demo.traffic import Request


def status_of(**fields: Any) -> status.Status:
    return status.parse({"status": fields})


def side(version: str) -> dict[str, Any]:
    return {"revision": f"revision-{version}", "model": {"version": version, "uri": f"models:/iris/{version}"}}


def ended(version: str, outcome: str) -> dict[str, Any]:
    return {"revision": f"revision-{version}", "model": f"models:/iris/{version}", "outcome": outcome}


def broken(checked: list[Promise]) -> list[str]:
    return [promise.text for promise in checked if not promise.kept]


GOOD = status_of(phase="Stable", stable=side("2"), history=[ended("2", "Promoted")])
BAD = status_of(
    phase="Stable",
    stable=side("2"),
    history=[ended("3", "Rejected"), ended("2", "Promoted")],
    rejected=[{"revision": "revision-3", "model": "models:/iris/3", "reason": "accuracy"}],
    conditions=[{"type": "RolloutSucceeded", "status": "False"}],
)


def test_a_promotion_as_promised() -> None:
    """The run ended as Promoted, the version serves, and the alias names it."""
    assert broken(promises.promoted(GOOD, "models:/iris/2", "2", champion="2")) == []


def test_a_promotion_without_its_alias_breaks_a_promise() -> None:
    """Alias champion must name the promoted version."""
    checked = promises.promoted(GOOD, "models:/iris/2", "2", champion="1")

    assert broken(checked) == ["Sluice moved alias champion to version 2"]


def test_a_rejection_as_promised() -> None:
    """The version is rejected and remembered, the condition is False, and nothing else changed."""
    assert broken(promises.rejected(BAD, "models:/iris/3", stays="2", champion="2")) == []


def test_a_bad_version_that_was_promoted_breaks_every_promise() -> None:
    """Each broken promise is listed."""
    wrong = status_of(phase="Stable", stable=side("3"), history=[ended("3", "Promoted")])

    assert len(broken(promises.rejected(wrong, "models:/iris/3", stays="2", champion="3"))) == 4


def test_a_skipped_step_breaks_a_promise() -> None:
    """The run must have had each weight of the manifest."""
    phases = ["Starting", "Stepping, step 1 at 10 %", "Promoting"]

    assert promises.reached(phases, (10, 50), "good run") == Promise(
        "the good run went through every step", False, "never seen at 50 %"
    )


def test_one_failed_request_breaks_a_promise() -> None:
    """The first failure is shown."""
    fine = Request("predict", 0, 0.01, 200, "1")
    failed = Request("predict", 0, 0.01, 502, failure="status 502")

    assert promises.none_failed([fine]).kept
    assert promises.none_failed([fine, failed]).found == "1 failed; the first predict status 502"


def test_after_a_run_only_one_version_answers() -> None:
    """One answer by another version breaks the promise, and so does no answer at all."""
    two, three = Request("predict", 5, 0.01, 200, "2"), Request("predict", 6, 0.01, 200, "3")

    assert promises.only_answers_now([two, three], 0, "2").found == "1 by 2, 1 by 3"
    assert promises.only_answers_now([two, three], 5.5, "3").kept
    assert not promises.only_answers_now([], 0, "2").kept


def test_a_version_that_never_answered_breaks_a_promise() -> None:
    """A run without requests proves nothing."""
    requests = [Request("predict", 5, 0.01, 200, "2")]

    assert promises.took_part(requests, ["2", "3"]).found == "none by 3"


def test_pods_of_a_promoted_revision_stay() -> None:
    """There may be new pods, but none may be replaced or restarted."""
    first, second = Pod("a", "iris-a", 0), Pod("b", "iris-b", 0)

    assert promises.same_pods([first], [first, second]).kept
    assert promises.same_pods([first, second], [second]).found == "replaced: iris-a; restarted: none"
    assert promises.same_pods([first], [Pod("a", "iris-a", 1)]).found == "replaced: none; restarted: iris-a"
    assert not promises.same_pods([], []).kept


def test_chaos_must_have_happened() -> None:
    """Kills without restarts, or a run without a kill, prove nothing."""
    assert promises.killed({"good run": 3, "bad run": 1}, restarts=4, runs=2).kept
    assert not promises.killed({"good run": 2}, restarts=2, runs=2).kept
    assert not promises.killed({"good run": 2, "bad run": 1}, restarts=2, runs=2).kept
