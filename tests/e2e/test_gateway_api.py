"""Rollouts by an HTTPRoute of the Gateway API, through the real gateway."""

from typing import Any

import httpx
import pytest

from dev.demo import promises
from dev.demo.cluster import Addresses
from dev.demo.models import Versions
from dev.demo.traffic import Stream
from tests.e2e.rollouts import Manifest, Place, deployed, eventually, manifest
from tests.e2e.test_doctor import CHECKS, doctor

pytestmark = pytest.mark.anyio

MOVES = "iris-moves"
GATEWAY = {"name": "gateway", "namespace": "traefik"}


def by_http_route(name: str, **section: Any) -> Manifest:
    document = manifest(name)
    host = document["spec"]["traffic"]["ingress"]["host"]
    document["spec"]["traffic"] = {"httpRoute": {"parentRefs": [GATEWAY], "host": host, **section}}
    return document


async def test_a_good_version_is_promoted_and_a_bad_one_is_not(place: Place, versions: Versions) -> None:
    """With the weights of one HTTPRoute, no Ingress, and no failed request."""
    async with deployed(place, by_http_route("iris-route"), versions.first) as iris:
        await iris.until_ready()
        async with Stream(place.gateway, iris.host) as stream:
            await iris.follow(versions.better)
            await iris.until_live(versions.better, weight=10)
            route = await iris.get("httproute", iris.name)
            assert route is not None
            assert [backend["weight"] for backend in route["spec"]["rules"][-1]["backendRefs"]] == [90, 10]
            await iris.until_ended(versions.better, runs=2)
            await iris.follow(versions.bad)
            end = await iris.until_ended(versions.bad, runs=3)
        assert [entry.outcome for entry in end.history] == ["Rejected", "Promoted", "Promoted"], end.history
        assert {request.revision for request in stream.requests} == {entry.revision for entry in end.history}
        none_failed = promises.none_failed(stream.requests)
        assert none_failed.kept, none_failed.found
        route = await iris.get("httproute", iris.name)
        assert route is not None
        assert len(route["spec"]["rules"]) == 1, "nothing is left of the canary"
        assert await iris.get("ingress", iris.name) is None


async def test_a_gateway_that_is_not_there_is_named(place: Place, versions: Versions) -> None:
    """Once the name is right the model serves, and below a path of its host as well."""
    nowhere = {"name": "nowhere", "namespace": "traefik"}
    async with deployed(place, by_http_route("iris-nowhere", parentRefs=[nowhere]), versions.first) as iris:
        said = await iris.until_condition("Stalled", "True", "HTTPRouteNotAccepted")
        assert "no controller has looked at HTTPRoute iris-nowhere for Gateway traefik/nowhere" in said.message
        await iris.patch({"traffic": {"httpRoute": {"parentRefs": [GATEWAY]}}})
        await iris.until_ready()
        await iris.patch({"traffic": {"httpRoute": {"path": "/teams/iris"}}})
        async with httpx.AsyncClient(base_url=place.gateway, headers={"Host": iris.host}) as client:

            async def answers_below() -> bool | None:
                below, above = await client.get("/teams/iris/metadata"), await client.get("/metadata")
                return (below.status_code, above.status_code) == (200, 404) or None

            await eventually("the model answers below /teams/iris alone", answers_below)


async def test_the_gateway_changes_under_a_model_that_serves(place: Place, versions: Versions) -> None:
    """From Ingress to HTTPRoute and back: the new route takes the place of the old one."""
    http_route = {"parentRefs": [GATEWAY], "host": f"{MOVES}.example.com"}
    ingress = manifest(MOVES)["spec"]["traffic"]["ingress"]
    async with deployed(place, manifest(MOVES), versions.first) as iris:
        await iris.until_ready()
        async with httpx.AsyncClient(base_url=place.gateway, headers={"Host": iris.host}) as client:
            for traffic, new, old in (
                ({"ingress": None, "httpRoute": http_route}, "httproute", "ingress"),
                ({"ingress": ingress, "httpRoute": None}, "ingress", "httproute"),
            ):
                await iris.patch({"traffic": traffic})

                async def moved(new: str = new, old: str = old) -> bool | None:
                    if await iris.get(new, iris.name) is None or await iris.get(old, iris.name) is not None:
                        return None
                    return (await client.get("/metadata")).status_code == 200 or None

                await eventually(f"the {new} has taken the place of the {old}", moved)


async def test_doctor_tries_a_gateway_of_the_gateway_api(cluster: Addresses) -> None:
    """In the place of the IngressClass."""
    code, lines = await doctor(cluster, "--gateway", "traefik/gateway")
    assert (code, len(lines)) == (0, CHECKS), lines
    assert any("divides requests by header and by weight" in line for line in lines), lines
