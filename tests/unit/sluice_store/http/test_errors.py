"""Bodies that come too slowly."""

from __future__ import annotations

import pytest
from fastapi import HTTPException

from sluice_store.http.errors import IDLE, SLOWEST, Pace


def test_a_client_that_sends_a_little_all_the_time_is_ended() -> None:
    """It never stops for long, and would have its slot for ever."""
    pace = Pace()
    for _ in range(round(IDLE) - 1):
        pace.came(1_000, 1.0)
    with pytest.raises(HTTPException, match=f"{SLOWEST // 1024} is the least") as ended:
        pace.came(1_000, 1.0)
    assert ended.value.status_code == 408


def test_a_client_that_was_fast_once_must_stay_so() -> None:
    """Each window is looked at by itself."""
    pace = Pace()
    pace.came(10**10, IDLE)
    with pytest.raises(HTTPException):
        pace.came(1_000, IDLE)


def test_what_the_store_itself_takes_does_not_count() -> None:
    """The rest of the body has come, and waits, when the store goes on to read: however long it wrote."""
    pace = Pace()
    for _ in range(100_000):
        pace.came(1_000, 0.0)
    pace.came(1, IDLE - 1)


def test_a_client_at_the_least_rate_goes_on() -> None:
    """For hours, if the model is large."""
    pace = Pace()
    for _ in range(1_000):
        pace.came(SLOWEST, 1.0)
