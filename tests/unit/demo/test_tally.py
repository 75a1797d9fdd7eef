from dev.demo import tally
from dev.demo.traffic import Request


def predicted(at: float, version: str = "1", *, correct: bool = True, latency: float = 0.01) -> Request:
    return Request("predict", at, latency, 200, version, correct=correct)


def test_totals_are_by_version_in_order() -> None:
    """Version 10 comes after version 9. Answers without a version come last."""
    requests = [predicted(0, "10"), predicted(0, "9"), Request("predict", 0, 0.01, 500, failure="status 500")]

    assert [total.version for total in tally.totals(requests)] == ["9", "10", "-"]


def test_totals_count_statuses_and_right_answers() -> None:
    """Feedback counts as a request, not as a prediction. Accuracy is the share of right answers."""
    requests = [
        predicted(0, correct=True),
        predicted(0, correct=False),
        Request("feedback", 0, 0.01, 200, "1"),
    ]
    (total,) = tally.totals(requests)

    assert total.statuses == (("200", 3),)
    assert (total.predictions, total.correct, total.accuracy) == (2, 1, 0.5)


def test_a_version_without_predictions_has_no_accuracy() -> None:
    """No predictions is not the same as no right ones."""
    (total,) = tally.totals([Request("predict", 0, 10.0, None, failure="no answer")])

    assert total.accuracy is None
    assert (total.failed, total.statuses) == (1, (("none", 1),))


def test_rates_cover_the_last_full_seconds() -> None:
    """The present second is left out. A second without answers counts as 0."""
    requests = [predicted(7.2), predicted(9.1), predicted(9.9), predicted(10.3)]

    assert tally.rates(requests, now=10.5, seconds=3) == {"1": (1, 0, 2)}


def test_a_slow_answer_does_not_hide_faster_ones() -> None:
    """Requests are in the order of their answers, so one that started early may be among newer ones."""
    requests = [predicted(8.0), predicted(9.0), predicted(1.0, latency=8.5)]

    assert tally.rates(requests, now=10.0, seconds=2) == {"1": (1, 1)}


def test_answered_by_counts_predictions_from_a_moment_on() -> None:
    """Earlier requests and feedback do not count."""
    requests = [predicted(1, "1"), predicted(2, "2"), Request("feedback", 3, 0.01, 200, "1")]

    assert tally.answered_by(requests, since=2) == {"2": 1}
