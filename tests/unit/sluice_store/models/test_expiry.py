"""Which models are removed, and which accidents remove none."""

from __future__ import annotations

from sluice_store.models.expiry import GRACE, Expiry

DAY = 86_400.0
NOW = 20_000 * DAY


def test_what_nobody_uses_is_removed_after_two_more_days() -> None:
    """And not before, so that whoever uses it can still say so."""
    expiry, used = Expiry(round(90 * DAY)), {"old": NOW - 91 * DAY, "new": NOW - 89 * DAY}
    assert expiry.expired(used, NOW, 0.0) == []
    assert expiry.expired(used, NOW + GRACE / 2, GRACE - 1) == []
    assert expiry.expired(used, NOW + GRACE / 2, GRACE) == ["old"]


def test_a_use_in_these_days_starts_everything_again() -> None:
    """The store may have been out of reach for months before."""
    expiry = Expiry(round(90 * DAY))
    assert expiry.expired({"model": NOW - 91 * DAY}, NOW, 0.0) == []
    assert expiry.expired({"model": NOW}, NOW, DAY) == []
    assert expiry.expired({"model": NOW}, NOW + 91 * DAY, GRACE) == []
    assert expiry.expired({"model": NOW}, NOW + 91 * DAY, 2 * GRACE) == ["model"]


def test_a_clock_that_jumps_removes_nothing_by_itself() -> None:
    """What counts then is the time in which the process ran."""
    expiry = Expiry(round(90 * DAY))
    assert expiry.expired({"model": NOW}, NOW, 0.0) == []
    assert expiry.expired({"model": NOW}, NOW + 10_000 * DAY, 3_600.0) == []
    assert expiry.expired({"model": NOW}, NOW + DAY, 7_200.0) == []


def test_with_no_age_all_is_kept() -> None:
    """For ever."""
    expiry = Expiry(0)
    for uptime in (0.0, 1_000 * DAY):
        assert expiry.expired({"model": 0.0}, NOW, uptime) == []
