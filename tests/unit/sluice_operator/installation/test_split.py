"""What gateways do with two Ingresses of which one is a canary, and what is said of each."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from sluice_operator.installation import split


class Gateway:
    """The statuses of its answers by the value of the header; those without it in turn."""

    def __init__(self, always: int, never: int, *plain: int) -> None:
        self.by_header, self.plain = {"always": always, "never": never}, itertools.cycle(plain or (200,))

    async def ask(self, header: str) -> int:
        return self.by_header[header] if header else next(self.plain)


@pytest.mark.parametrize(
    ("gateway", "is_well", "says"),
    [
        (Gateway(503, 200, 200, 503), True, "divides requests by header and by weight (20 of 40 at 50 %)"),
        (Gateway(503, 200, 200), False, "the header and not the weight: all requests went to stable"),
        (Gateway(503, 200, 503), False, "the header and not the weight: all requests went to the canary"),
        (Gateway(200, 200), False, "ignores the canary"),
        (Gateway(404, 404), False, "does a Gateway admit routes of this namespace (allowedRoutes"),
        (Gateway(503, 504), False, "answers 504: it does not reach the operator's pods"),
    ],
)
def test_each_kind_of_gateway_is_told_apart(gateway: Gateway, is_well: bool, says: str) -> None:
    """One that does not obey at once has some time."""
    clock = itertools.count(step=split._WITHIN + 1)
    well, text = asyncio.run(split.verdict(gateway.ask, lambda: next(clock)))
    assert (well, says in text) == (is_well, True), text


def test_a_gateway_that_obeys_a_moment_later_is_waited_for() -> None:
    """It watches the API server, and takes a second or two."""
    answers = iter([404, 404, 200, 200, 503, 200])

    async def ask(header: str) -> int:
        return next(answers) if header else next(plain)

    plain = itertools.cycle((200, 503))
    assert asyncio.run(split.verdict(ask, lambda: 0.0))[0]
