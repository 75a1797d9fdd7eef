"""How often one client may ask."""

from __future__ import annotations

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from sluice_server.inference.rate_limits import RateLimits


class Clock:
    """A time that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_then_one_request_for_each_interval() -> None:
    """The wait that is told is the one after which the next request passes."""
    clock = Clock()
    limits = RateLimits(rate=2.0, burst=3, clock=clock)
    assert [limits.wait(b"a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    clock.now += 0.25
    assert limits.wait(b"a") == 0.25
    clock.now += 0.25
    assert [limits.wait(b"a"), limits.wait(b"a")] == [0.0, 0.5]


def test_clients_do_not_share_their_tokens_but_those_without_a_key_do() -> None:
    """The empty key is one client; long keys are told apart although they are not kept."""
    limits = RateLimits(rate=1.0, burst=1, clock=Clock())
    for client in (b"", b"a", b"x" * 9000 + b"1", b"x" * 9000 + b"2"):
        assert (limits.wait(client), limits.wait(client)) == (0.0, 1.0)


def test_memory_is_bounded_and_the_client_that_asked_last_is_kept() -> None:
    """Whoever is forgotten begins again; who asks all the time is not forgotten."""
    limits = RateLimits(rate=1.0, burst=1, clock=Clock(), most_clients=3)
    assert limits.wait(b"busy") == 0.0
    for number in range(100):
        assert limits.wait(b"other %d" % number) == 0.0
        assert limits.wait(b"busy") == 1.0
    assert len(limits._full_at) == 3


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=200), st.integers(1, 20), st.sampled_from([0.5, 3.0, 40.0]))
def test_never_more_than_the_burst_and_the_rate_pass(gaps: list[float], burst: int, rate: float) -> None:
    """In every span of time: the burst, and the rate times its length."""
    clock = Clock()
    limits = RateLimits(rate, burst, clock)
    passed = []
    for gap in gaps:
        clock.now += gap
        if limits.wait(b"a") == 0.0:
            passed.append(clock.now)
    for first, began in zip(count(), passed):
        for more, ended in enumerate(passed[first:], start=1):
            assert more <= burst + rate * (ended - began) + 1e-6
