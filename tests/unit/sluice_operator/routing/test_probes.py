"""What the smoke request's answers say, and whom they blame."""

from __future__ import annotations

import httpx
import pytest
from msgspec.structs import replace

from sluice_operator.api.observation import Workload
from sluice_operator.controller.observe import _crashes
from sluice_operator.routing.probes import _field
from tests.unit.sluice_operator.build import revision, stepping

REQUEST = httpx.Request("GET", "http://gateway/metadata")


def answer(status: int, text: str, revision: str = "canary") -> httpx.Response:
    return httpx.Response(status, text=text, headers={"X-Sluice-Revision": revision}, request=REQUEST)


def test_the_field_of_a_good_answer_is_handed_on() -> None:
    """The canary's own example is what it is asked next."""
    assert _field(answer(200, '{"input_example": {"features": []}}'), "canary", "input_example") == (
        {"features": []},
        None,
    )


@pytest.mark.parametrize(
    ("status", "text"), [(200, "<html>"), (200, "[1]"), (200, "{}"), (500, '{"input_example": 1}')]
)
def test_a_wrong_answer_of_the_canary_is_its_own_fault(status: int, text: str) -> None:
    """Whatever its image answers, the reconcile goes on and says it."""
    _, wrong = _field(answer(status, text), "canary", "input_example")
    assert wrong is not None
    assert (wrong.live, wrong.by_canary) == (False, True)


def test_an_answer_of_somebody_else_is_not() -> None:
    """The gateway has not caught up, or is in trouble."""
    _, wrong = _field(answer(502, "", revision="stable"), "canary", "input_example")
    assert wrong is not None
    assert (wrong.live, wrong.by_canary) == (False, False)


@pytest.mark.parametrize(
    ("canary", "stable", "crashes"),
    [(0, 0, 0), (3, 0, 1), (3, 4, 1), (5, 6, 1), (2, 9, -5)],
)
def test_crashes_are_those_of_this_run_beyond_stable_s(canary: int, stable: int, crashes: int) -> None:
    """A revision that served before brings its old restarts along; replaced pods bring fewer."""
    run = stepping().status.run
    assert run is not None
    begun = replace(run, canary_restarts=2, stable_restarts=4)
    workloads = {revision(2).revision: Workload(restarts=canary), revision(1).revision: Workload(restarts=stable)}
    assert _crashes(begun, workloads, revision(2), revision(1)) == crashes
