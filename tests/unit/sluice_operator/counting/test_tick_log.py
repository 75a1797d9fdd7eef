"""The ticks of a run are kept in little memory, and come back as they were."""

from __future__ import annotations

import math
import random
import tracemalloc

import pytest

from sluice_operator.counting.tick_log import TickLog
from sluice_operator.counting.ticks import Tally, Tick

TICKS_PER_HOUR = 720  # of five seconds


def a_tally(chance: random.Random) -> Tally:
    finished = chance.randrange(400)
    within = {bound: chance.randrange(finished + 1) for bound in (0.1, 0.2, math.inf) if chance.random() < 0.9}
    labels = chance.randrange(50), chance.randrange(50)
    return Tally(
        finished + 1,
        finished,
        chance.randrange(5),
        within,
        *labels,
        refused=chance.randrange(5),
        others=chance.randrange(9),
    )


def ticks(number: int) -> list[Tick]:
    chance = random.Random(number)
    return [
        Tick(0.1 + 5.0 * index, 5.1 + 5.0 * index, a_tally(chance), a_tally(chance), chance.random() < 0.9)
        for index in range(number)
    ]


def log_of(added: list[Tick], packed_together: int) -> TickLog:
    log = TickLog(packed_together)
    for tick in added:
        log.append(tick)
    return log


@pytest.mark.parametrize("number", [0, 1, 9, 10, 11, 95])
def test_ticks_come_back_as_they_were(number: int) -> None:
    """Whether they are packed or not: also bounds that a histogram lacked for a while."""
    added = ticks(number)
    log = log_of(added, packed_together=10)
    assert (len(log), list(log)) == (number, added)


def test_ticks_are_found_by_time() -> None:
    """Those that began before a moment, and those that ended by then."""
    added = ticks(50)
    log = log_of(added, packed_together=7)
    for moment in (-1.0, 0.1, 5.1, 99.9, 100.1, 1000.0):
        assert log.begun_before(moment) == sum(tick.start < moment for tick in added)
        assert log.ended_by(moment) == sum(tick.end <= moment for tick in added)


def test_the_oldest_ticks_are_dropped_in_packs() -> None:
    """Never more than was asked for, and never one of the newest that are not packed yet."""
    added = ticks(95)
    log = log_of(added, packed_together=10)
    assert [log.drop_oldest(most) for most in (9, 25, 10, 1000)] == [0, 20, 10, 60]
    assert (len(log), list(log)) == (5, added[90:])


def test_a_day_takes_little_more_memory_than_an_hour() -> None:
    """As single objects, a day took 24 times as much as an hour, and 13 times as much as here."""

    def traced(number: int) -> int:
        tracemalloc.start()
        log = log_of(ticks(number), 500)
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return size if len(log) else 0

    assert traced(24 * TICKS_PER_HOUR) < 8 * traced(TICKS_PER_HOUR)
