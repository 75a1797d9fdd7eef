"""Requests through the gateway that prove what it does: that a weight, a swap or a new model is live.

Each request opens a new connection, so that every worker of the gateway is reached. Each has the header that keeps it
out of the model server's counters.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from sluice_operator.api import names
from sluice_operator.api.observation import Proof

PROBES = 24  # a gateway with the old weight answers all of them as expected with probability 2 ** -24
_CONNECTIONS = 8
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """The gateway for requests to `host`. `address`: its URL as the operator reaches it."""

    address: str
    host: str

    def client(self) -> httpx.AsyncClient:
        """A client that opens a new connection for each request."""
        return httpx.AsyncClient(
            base_url=self.address,
            headers={"Host": self.host, names.HEADER_PROBE: "1"},
            limits=httpx.Limits(max_keepalive_connections=0, max_connections=_CONNECTIONS),
            timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,
        )


async def weight(gateway: Gateway, header: str, stable: str, canary: str, chance: random.Random) -> Proof:
    """Whether the probe header `header` decides which revision answers. If so, the write with this header is live."""
    expected = [("always", canary), ("never", stable)] * (PROBES // 2)
    chance.shuffle(expected)
    return await _all_answered_by(gateway, [({header: value}, revision) for value, revision in expected])


async def role(gateway: Gateway, revision: str) -> Proof:
    """Whether `revision` answers all requests without a probe header."""
    return await _all_answered_by(gateway, [({}, revision)] * PROBES)


async def smoke(gateway: Gateway, header: str, canary: str) -> Proof:
    """Whether the canary answers one real prediction through the gateway, with its model's own input example."""
    to_canary = {header: "always"}
    try:
        async with gateway.client() as client:
            metadata = await client.get("/metadata", headers=to_canary)
            example, failure = _field(metadata, canary, "input_example")
            if failure is not None:
                return failure
            answer = await client.post("/predict", json=example, headers=to_canary)
    except httpx.HTTPError as error:
        return Proof(False, f"no smoke request through {gateway.address}: {str(error) or type(error).__name__}")
    predictions, failure = _field(answer, canary, "predictions")
    if failure is not None:
        return failure
    if not predictions:
        return Proof(False, "the canary answered its own input example without a prediction", by_canary=True)
    return Proof(True)


def _field(answer: httpx.Response, canary: str, field: str) -> tuple[Any, Proof | None]:
    """`field` of the canary's JSON answer and None; or None and what is wrong with the answer."""
    if answer.headers.get(names.HEADER_REVISION) != canary:
        return None, Proof(False, f"the smoke request was answered by {_sender(answer)} instead of {canary}")
    try:
        body = answer.json()
    except ValueError:
        body = None
    if answer.status_code != httpx.codes.OK or not isinstance(body, dict) or field not in body:
        shown = f"{answer.status_code}, without {field}: {answer.text[:200]}"
        return None, Proof(False, f"the canary answered {answer.request.url.path} with {shown}", by_canary=True)
    return body[field], None


async def _all_answered_by(gateway: Gateway, requests: Sequence[tuple[Mapping[str, str], str]]) -> Proof:
    """Whether each request, given by its headers, is answered by the revision that comes with them."""
    async with gateway.client() as client:

        async def probe(headers: Mapping[str, str], revision: str) -> str:
            """Empty if `revision` answers, else what happens instead."""
            try:
                answer = await client.get("/metadata", headers=headers)
            except httpx.HTTPError as error:
                return f"{gateway.address} gave no answer: {str(error) or type(error).__name__}"
            return "" if answer.headers.get(names.HEADER_REVISION) == revision else f"{_sender(answer)} answered"

        failures = [text for text in await asyncio.gather(*(probe(*request) for request in requests)) if text]
    if not failures:
        return Proof(True)
    return Proof(False, f"probes for {gateway.host} went elsewhere: {failures[0]}")


def _sender(answer: httpx.Response) -> str:
    revision = answer.headers.get(names.HEADER_REVISION)
    return f"revision {revision}" if revision else f"no model server (status {answer.status_code})"
