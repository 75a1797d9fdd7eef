"""What a Gateway says against an HTTPRoute is told in its words; the rest of its status says nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sluice_operator.api.traffic import HttpRoute, ParentRef
from sluice_operator.routing.route_status import refusal
from tests.unit.sluice_operator.build import NOW

ASKED = HttpRoute((ParentRef("public", "infra"),), "iris.example.com")
LATER = NOW + timedelta(minutes=1)
TAKEN = {"type": "Accepted", "status": "True", "observedGeneration": 2}
NOT_TAKEN = {
    "type": "Accepted",
    "status": "False",
    "observedGeneration": 2,
    "reason": "NotAllowedByListeners",
    "message": "no listener\nallows namespace models",
}
NO_BACKEND = {"type": "ResolvedRefs", "status": "False", "observedGeneration": 2, "reason": "BackendNotFound"}


def a_route(*conditions: Any, parent: dict[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": "iris", "namespace": "models", "generation": 2, "creationTimestamp": NOW.isoformat()}
    reference = parent or {"name": "public", "namespace": "infra"}
    parents = [{"parentRef": reference, "conditions": list(conditions)}] if conditions else []
    return {"metadata": metadata, "status": {"parents": parents}}


@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        (
            (NOT_TAKEN,),
            "Gateway infra/public does not take HTTPRoute iris (Accepted is False): NotAllowedByListeners: no",
        ),
        ((TAKEN, NO_BACKEND), "(ResolvedRefs is False): BackendNotFound"),
    ],
)
def test_a_gateway_that_does_not_take_the_route_says_why(conditions: Any, says: str) -> None:
    """In one line, whatever it wrote."""
    found = refusal(a_route(*conditions), ASKED, NOW, LATER)
    assert refusal(a_route(*conditions), ASKED, NOW, NOW) is None, "it may have said so while something was missing"
    assert found is not None
    assert found.reason == "HTTPRouteNotAccepted"
    assert says in found.message
    assert "\n" not in found.message


@pytest.mark.parametrize(
    "conditions",
    [
        (TAKEN,),
        ({**NOT_TAKEN, "observedGeneration": 1},),
        ({**NOT_TAKEN, "status": "Unknown"},),
        ("no condition", TAKEN),
    ],
)
def test_what_is_old_or_open_is_nothing_against_it(conditions: Any) -> None:
    """A controller that has yet to see the last write will say so."""
    assert refusal(a_route(*conditions), ASKED, NOW, LATER) is None


def test_a_gateway_that_nobody_speaks_for_is_named_after_a_while() -> None:
    """Its name is wrong, or its class has no controller. What another Gateway says is no answer."""
    assert refusal(a_route(), ASKED, NOW, NOW) is None
    for route in (a_route(), a_route(TAKEN, parent={"name": "inner"})):
        found = refusal(route, ASKED, NOW, LATER)
        assert found is not None
        assert "no controller has looked at HTTPRoute iris for Gateway infra/public" in found.message


def test_each_listener_is_asked_for_by_its_name() -> None:
    """Without a name any listener will do; and a Gateway without a namespace is in that of the route."""
    at_https = {"name": "public", "namespace": "infra", "sectionName": "https"}
    assert refusal(a_route(NOT_TAKEN, parent=at_https), ASKED, NOW, LATER) is not None
    https, http = (HttpRoute((ParentRef("public", "infra", name),), "h") for name in ("https", "http"))
    assert refusal(a_route(TAKEN, parent=at_https), https, NOW, LATER) is None
    found = refusal(a_route(TAKEN, parent=at_https), http, NOW, LATER)
    assert found is not None
    assert "Gateway infra/public (listener http)" in found.message
    here = HttpRoute((ParentRef("public"),), "h")
    assert refusal(a_route(TAKEN, parent={"name": "public"}), here, NOW, LATER) is None
    assert refusal(a_route(TAKEN, parent={"name": "public", "namespace": "models"}), here, NOW, LATER) is None


@pytest.mark.parametrize("parents", [None, [None], [{}], [{"parentRef": "x"}], [{"parentRef": {}, "conditions": None}]])
def test_a_status_of_any_form_is_read(parents: Any) -> None:
    """The API server checks it, and the API server is not always ours."""
    route = {**a_route(), "status": {"parents": parents}}
    assert refusal(route, ASKED, NOW, NOW) is None


def test_one_controller_that_takes_it_is_enough() -> None:
    """An entry of one that is gone stays for ever; and routes in part are no routes."""
    route = a_route(NOT_TAKEN)
    route["status"]["parents"].append({"parentRef": {"name": "public", "namespace": "infra"}, "conditions": [TAKEN]})
    assert refusal(route, ASKED, NOW, LATER) is None
    partly = {"type": "PartiallyInvalid", "status": "True", "reason": "UnsupportedValue", "message": "Dropped Rule"}
    found = refusal(a_route(TAKEN, partly), ASKED, NOW, LATER)
    assert found is not None
    assert "(PartiallyInvalid is True): UnsupportedValue: Dropped Rule" in found.message


def test_what_a_mesh_says_of_a_service_of_that_name_is_not_asked() -> None:
    """A parent may be a Service as well."""
    of_a_service = {"kind": "Service", "group": "", "name": "public", "namespace": "infra"}
    assert "no controller" in str(refusal(a_route(NOT_TAKEN, parent=of_a_service), ASKED, NOW, LATER))
    assert refusal(a_route(TAKEN, parent=of_a_service), ASKED, NOW, LATER) is not None
