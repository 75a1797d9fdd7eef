"""What proves a weight: the probe header decides, and nobody but stable and canary answers callers."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace

from sluice_operator.api.observation import Proof
from sluice_operator.api.place import Place
from sluice_operator.routing import probes
from sluice_operator.routing.gateway import Access, Gateway
from sluice_operator.routing.probes import Split
from tests.unit.sluice_operator.routing.gateways import HOST, Asked, Behaviour, Reply, serving

SPLIT = Split("x-route", "stable", "canary", weight=10)


def proven(split: Split, behaviour: Behaviour) -> Proof:
    async def story() -> Proof:
        async with serving(behaviour) as gateway:
            return await probes.weight(Gateway(Access(gateway.http), Place(HOST)), split, random.Random(1))

    return asyncio.run(asyncio.wait_for(story(), 30))


def obeys(asked: Asked) -> Reply:
    """A gateway with the weight; of callers, the canary gets none."""
    return Reply(revision={"always": "canary"}.get(asked.headers.get("x-route", ""), "stable"))


def test_a_gateway_that_obeys_the_header_has_the_weight() -> None:
    """A third of the probes has no header, as those of callers."""
    sent: Counter[str] = Counter()

    def counted(asked: Asked) -> Reply:
        sent[asked.headers.get("x-route", "")] += 1
        return obeys(asked)

    assert proven(SPLIT, counted) == Proof(True)
    assert sent == {"always": 12, "never": 12, "": 12}


def test_a_gateway_with_the_old_weight_has_not() -> None:
    """It does not know the name of the header."""
    proof = proven(SPLIT, lambda _: Reply(revision="stable"))
    assert (proof.live, proof.strangers) == (False, False)
    assert proof.detail == f"2 of 6 probes for {HOST} went elsewhere: 2 to revision stable"


def test_a_stranger_that_takes_requests_of_callers_unproves_the_weight() -> None:
    """An Ingress of somebody else with the same host does not know the header, but it gets requests without one."""

    def shared(asked: Asked) -> Reply:
        return obeys(asked) if "x-route" in asked.headers else Reply(200)

    proof = proven(SPLIT, shared)
    assert (proof.live, proof.strangers) == (False, True)
    assert proof.detail == f"2 of 6 probes for {HOST} went elsewhere: 2 to no model server (status 200)"


def test_at_weight_0_no_caller_may_reach_the_canary() -> None:
    """A rollback is finished when callers are back, and not when a header is obeyed."""

    def leaking(asked: Asked) -> Reply:
        return obeys(asked) if "x-route" in asked.headers else Reply(revision="canary")

    assert proven(SPLIT, leaking).live
    assert not proven(replace(SPLIT, weight=0), leaking).live


def without_stable(asked: Asked) -> Reply:
    answer = obeys(asked)
    return Reply(503) if answer.revision == "stable" else answer


def test_a_stable_without_pods_does_not_keep_a_weight_from_being_proven() -> None:
    """The header decides: the canary answers for its half, and nobody for the other."""
    dead = replace(SPLIT, stable_ready=False)
    assert proven(dead, without_stable).live
    assert not proven(SPLIT, without_stable).live, "its pods are ready, so the gateway is wrong"


def test_a_gateway_that_answers_nothing_without_stable_is_told_apart() -> None:
    """ingress-nginx leads to no canary while stable's Service has no endpoint: that is no wrong weight."""
    proof = proven(replace(SPLIT, stable_ready=False), lambda _: Reply(503))
    assert (proof.live, proof.no_endpoints) == (False, True)


def test_a_canary_that_answers_in_place_of_a_dead_stable_is_a_wrong_weight() -> None:
    """Only silence is excused."""
    proof = proven(replace(SPLIT, weight=0, stable_ready=False), lambda _: Reply(revision="canary"))
    assert (proof.live, proof.no_endpoints) == (False, False)
