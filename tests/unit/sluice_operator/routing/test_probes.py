"""What an answer to the smoke request shows, and whether the canary is to blame."""

from __future__ import annotations

import httpx
import pytest

from sluice_operator.routing.probes import _field

REQUEST = httpx.Request("GET", "http://gateway/metadata")


def answer(status: int, text: str, revision: str = "canary") -> httpx.Response:
    return httpx.Response(status, text=text, headers={"X-Sluice-Revision": revision}, request=REQUEST)


def test_the_field_of_a_good_answer_is_returned() -> None:
    """The canary's input example is sent to it in the next request."""
    assert _field(answer(200, '{"input_example": {"features": []}}'), "canary", "input_example") == (
        {"features": []},
        None,
    )


@pytest.mark.parametrize(
    ("status", "text"), [(200, "<html>"), (200, "[1]"), (200, "{}"), (500, '{"input_example": 1}')]
)
def test_a_wrong_answer_from_the_canary_is_its_own_fault(status: int, text: str) -> None:
    """Whatever its image answers, nothing is raised."""
    _, failure = _field(answer(status, text), "canary", "input_example")
    assert failure is not None
    assert (failure.live, failure.by_canary) == (False, True)


def test_an_answer_from_another_revision_is_not_the_canary_s_fault() -> None:
    """The gateway does not use the new weight yet, or has a problem."""
    _, failure = _field(answer(502, "", revision="stable"), "canary", "input_example")
    assert failure is not None
    assert (failure.live, failure.by_canary) == (False, False)
