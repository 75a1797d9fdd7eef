"""Series about objects: where each run is, and nothing about objects at rest or gone."""

from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest

from sluice_operator.api.owner import Owner
from sluice_operator.api.run import Phase
from sluice_operator.api.status import Condition, Result, Status, Verdict
from sluice_operator.telemetry.metrics import REGISTRY
from sluice_operator.telemetry.object_series import Evidence, Rollouts
from tests.unit.sluice_operator.build import (
    FAIL,
    NOW,
    OWNER,
    a_spec,
    again,
    revision,
    rolling_back,
    stable_on,
    stepping,
)

PAUSED = "sluice_model_deployment_paused"
HOLDS = Verdict(Result.UNDECIDED, "ErrorRateAboveLimit", "errors 5% breaks its limit", holding=("errors",))
RUN = {"namespace": "models", "name": "iris"}


def shown(rollouts: Rollouts) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(rollouts)
    return registry


def having_seen(status: Status, *evidence: Evidence) -> CollectorRegistry:
    """What is shown after this status, which an evaluation came before."""
    rollouts = Rollouts()
    rollouts.saw(OWNER, status, status, NOW)
    rollouts.weighed("models", "iris", evidence)
    return shown(rollouts)


def series_about_iris(registry: CollectorRegistry) -> list[str]:
    return [text for text in generate_latest(registry).decode().splitlines() if 'name="iris"' in text]


def test_a_run_under_way_shows_its_phase_weights_steps_and_verdict() -> None:
    """All that a dashboard of a rollout needs."""
    registry = having_seen(replace(stepping().status, verdict=FAIL))
    names = {"canary": revision(2).revision, "stable": revision(1).revision}
    assert registry.get_sample_value("sluice_run_info", {**RUN, "phase": "Stepping", **names}) == 1
    assert registry.get_sample_value("sluice_run_weight_desired_ratio", RUN) == 0.1
    assert registry.get_sample_value("sluice_run_weight_live_ratio", RUN) == 0.1
    assert registry.get_sample_value("sluice_run_step", RUN) == 1
    assert registry.get_sample_value("sluice_run_steps", RUN) == 2
    verdict = {**RUN, "result": "Fail", "reason": "ErrorRateAboveLimit"}
    assert registry.get_sample_value("sluice_run_verdict", verdict) == 1


def test_what_is_paused_shows_why() -> None:
    """Also at rest, while spec.suspend is true. Nothing is shown of an object that goes on."""
    held = again(stepping(verdict=HOLDS)).status
    assert having_seen(held).get_sample_value(PAUSED, {**RUN, "reason": "PausedByObjective"}) == 1
    suspended = again(stable_on(1, spec=a_spec(suspend=True))).status
    assert having_seen(suspended).get_sample_value(PAUSED, {**RUN, "reason": "Suspended"}) == 1
    assert PAUSED not in "".join(series_about_iris(having_seen(stepping().status)))


def test_evidence_has_its_threshold_beside_it() -> None:
    """For each objective and claim. Evidence of nothing counted, which is minus infinity, is left out."""
    registry = having_seen(
        stepping().status, Evidence("errors", "worse", 1.5, 4.0), Evidence("p95", "worse", float("-inf"), 4.0)
    )
    errors, p95 = ({**RUN, "objective": name, "claim": "worse"} for name in ("errors", "p95"))
    assert registry.get_sample_value("sluice_run_evidence_log", errors) == 1.5
    assert registry.get_sample_value("sluice_run_evidence_threshold_log", errors) == 4.0
    assert registry.get_sample_value("sluice_run_evidence_log", p95) is None
    assert registry.get_sample_value("sluice_run_evidence_threshold_log", p95) == 4.0


def test_evidence_of_a_run_is_not_shown_for_the_next_one() -> None:
    """Another run of the same object starts without evidence."""
    rollouts, status = Rollouts(), stepping().status
    assert status.run is not None
    rollouts.saw(OWNER, status, status, NOW)
    rollouts.weighed("models", "iris", [Evidence("errors", "worse", 1.5, 4.0)])
    another = replace(status, run=replace(status.run, id="another"))
    rollouts.saw(OWNER, status, another, NOW)
    assert "evidence" not in "".join(series_about_iris(shown(rollouts)))


def test_objects_at_rest_cost_no_series() -> None:
    """5,000 of them are one number per phase."""
    rollouts, resting = Rollouts(), stable_on(1).status
    for number in range(5000):
        rollouts.saw(Owner("models", f"model-{number}", str(number)), resting, resting, NOW)
    registry = shown(rollouts)
    assert registry.get_sample_value("sluice_model_deployments", {"phase": "Stable"}) == 5000
    series = [text for text in generate_latest(registry).decode().splitlines() if not text.startswith("#")]
    assert len(series) == len(Phase)


def test_series_of_an_object_vanish_with_it_and_with_its_run() -> None:
    """Prometheus marks them stale with its next scrape."""
    rollouts, running, resting = Rollouts(), stepping().status, stable_on(1).status
    rollouts.saw(OWNER, running, running, NOW)
    assert series_about_iris(shown(rollouts))
    rollouts.saw(OWNER, running, resting, NOW)
    assert not series_about_iris(shown(rollouts))
    rollouts.saw(OWNER, running, running, NOW)
    rollouts.forget("models", "iris")
    assert not series_about_iris(shown(rollouts))
    assert shown(rollouts).get_sample_value("sluice_model_deployments", {"phase": "Stepping"}) == 0


def test_an_object_that_waits_for_a_person_is_shown_at_rest_too() -> None:
    """So an alert can name it."""
    stalled = Condition("Stalled", "True", "HostTaken", "another object has the host", NOW)
    registry = having_seen(replace(stable_on(1).status, conditions=(stalled,)))
    assert registry.get_sample_value("sluice_model_deployment_stalled", {**RUN, "reason": "HostTaken"}) == 1


def runs(outcome: str, reason: str) -> float:
    return REGISTRY.get_sample_value("sluice_runs_total", {"outcome": outcome, "reason": reason}) or 0.0


def steps() -> float:
    return REGISTRY.get_sample_value("sluice_step_duration_seconds_count") or 0.0


def test_the_end_of_a_run_and_of_its_step_are_counted_once() -> None:
    """A later status of the same run, and a restart, count nothing."""
    rollouts, before, ended = Rollouts(), stepping(verdict=FAIL), rolling_back()
    counted = runs("Rejected", "ErrorRateAboveLimit"), steps()
    for status in (before.status, ended.status):
        rollouts.saw(OWNER, before.status, status, NOW)
    rollouts.saw(OWNER, ended.status, again(ended).status, NOW)
    Rollouts().saw(OWNER, ended.status, ended.status, NOW)
    assert (runs("Rejected", "ErrorRateAboveLimit"), steps()) == (counted[0] + 1, counted[1] + 1)
