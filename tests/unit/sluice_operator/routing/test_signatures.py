"""What stable and the canary say of their requests and responses, asked through the gateway."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from sluice_operator.api.observation import Proof, Signatures, Workload
from sluice_operator.api.place import Place
from sluice_operator.api.signature import Signature
from sluice_operator.controller.observation.proofs import Proofs
from sluice_operator.routing import signatures
from sluice_operator.routing.gateway import Access, Gateway
from tests.unit.sluice_operator.build import LIVE, both_ready, revision, signature, starting
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.routing.gateways import HOST, Asked, Behaviour, Reply, serving

OLD, NEW = signature("length", "width"), signature("length", "width", "depth")


def metadata(signature: Signature) -> str:
    return json.dumps({"model": {}, "signature": msgspec.to_builtins(signature)})


def read(behaviour: Behaviour) -> Signatures | Proof:
    async def story() -> Signatures | Proof:
        async with serving(behaviour) as gateway:
            return await signatures.signatures(
                Gateway(Access(gateway.http), Place(HOST)), "x-route", "stable", "canary"
            )

    return asyncio.run(asyncio.wait_for(story(), 30))


def both(asked: Asked) -> Reply:
    """Stable is an older model server, which does not report its columns."""
    if asked.headers["x-route"] == "never":
        return Reply(revision="stable", body='{"signature": {"inputs": "[]", "outputs": null}}')
    return Reply(revision="canary", body=metadata(NEW))


def test_each_revision_is_asked_by_the_probe_header() -> None:
    """One that does not say is unknown, which is no failure."""
    assert read(both) == Signatures(None, NEW)


@pytest.mark.parametrize("body", ["<html>", "[]", "3", '{"signature": {"columns": 3}}'])
def test_what_is_no_metadata_is_unknown(body: str) -> None:
    """Whatever an image answers, nothing is raised."""
    assert read(lambda asked: replace(both(asked), body=body)) == Signatures(None, None)


def test_an_answer_of_another_revision_proves_nothing() -> None:
    """The gateway leads elsewhere again: no model is to blame."""
    assert read(lambda _: Reply(502)) == Proof(
        False, "another server than revision stable says what it takes (status 502)"
    )


def asked(workloads: dict[str, Workload], smoke: Proof | None) -> Any:
    """What is read in Starting, once weight 0 is proven and the smoke request was answered."""
    status = starting(workloads=workloads, weight=LIVE).status
    stable, canary = revision(1).revision, revision(2).revision

    def gateway_of(asked: Asked) -> Reply:
        to_canary = "always" in asked.headers.values()
        return Reply(revision=canary if to_canary else stable, body=metadata(NEW if to_canary else OLD))

    async def story() -> Any:
        async with serving(gateway_of) as gateway:
            proofs = Proofs(FakeKube(), Access(gateway.http), random.Random(1))
            until = asyncio.get_running_loop().time() + 30
            return await proofs.signatures(("models", "iris"), status, workloads, smoke, until)

    return asyncio.run(asyncio.wait_for(story(), 30))


def test_signatures_are_read_when_the_smoke_request_was_answered() -> None:
    """Not before: a canary that does not answer has another trouble."""
    assert asked(both_ready(), LIVE) == Signatures(OLD, NEW)
    assert asked(both_ready(), None) is None


def test_a_stable_revision_without_ready_pods_is_not_asked() -> None:
    """It could not answer, and it must not keep its fix from taking over."""
    assert asked(both_ready(first=0), LIVE) is None
