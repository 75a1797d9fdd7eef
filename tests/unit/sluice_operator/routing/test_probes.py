"""What an answer to the smoke request shows, and whether the canary is to blame."""

from __future__ import annotations

import pytest

from sluice_operator.api.observation import Proof
from sluice_operator.routing.gateway import Reply
from sluice_operator.routing.probes import _Metadata, _read


def read(status: int, text: str | None, revision: str = "canary") -> Proof | bytes:
    answer = _read(Reply(status, revision, body=None if text is None else text.encode()), "canary", "/path", _Metadata)
    return answer if isinstance(answer, Proof) else bytes(answer.input_example)


def test_the_field_of_a_good_answer_is_returned() -> None:
    """The canary's input example is sent to it in the next request, as it is."""
    assert read(200, '{"input_example": {"features": []}}') == b'{"features": []}'


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, "<html>"),
        (200, "[1]"),
        (200, "{}"),
        (200, "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
        (200, "[" * 100_000),
        (200, '{"input_example": ' + "[" * 100_000),
        (200, None),
        (500, '{"input_example": 1}'),
    ],
)
def test_a_wrong_answer_from_the_canary_is_its_own_fault(status: int, text: str | None) -> None:
    """Whatever its image answers, nothing is raised."""
    failure = read(status, text)
    assert isinstance(failure, Proof)
    assert (failure.live, failure.by_canary) == (False, True)


def test_what_is_shown_of_an_answer_is_short_and_steers_no_terminal() -> None:
    """It goes into a condition, and from there to somebody's screen."""
    failure = read(200, "\x1b]0;owned\x07" + "x" * 100_000)
    assert isinstance(failure, Proof)
    assert failure.detail.isprintable()
    assert len(failure.detail) < 300


def test_an_answer_from_another_revision_is_not_the_canary_s_fault() -> None:
    """The gateway does not use the new weight yet, or has a problem."""
    failure = read(502, "", revision="stable")
    assert isinstance(failure, Proof)
    assert (failure.live, failure.by_canary) == (False, False)
