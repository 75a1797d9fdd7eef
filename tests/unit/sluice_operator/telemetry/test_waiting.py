"""The work queue as metrics."""

from prometheus_client import CollectorRegistry

from sluice_operator.telemetry.waiting import Waiting


def test_depth_and_the_oldest_age_are_shown_for_each_lane() -> None:
    """An empty lane is 0, so that an alert on it has a value."""
    registry = CollectorRegistry()
    registry.register(Waiting(lambda: {"at_rest": [0.5, 2.0], "rollouts": []}))
    for lane, depth, oldest in (("at_rest", 2, 2.0), ("rollouts", 0, 0.0)):
        assert registry.get_sample_value("sluice_queue_depth", {"lane": lane}) == depth
        assert registry.get_sample_value("sluice_queue_oldest_age_seconds", {"lane": lane}) == oldest
