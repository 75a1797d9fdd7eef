"""Asks the data plane itself what it does: the only proof that a weight, a swap or a new model is live.

Every request is a new connection, so that each worker of the gateway is reached in turn, and carries the header that
keeps it out of the model server's counters.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from sluice_operator.api import names
from sluice_operator.api.observation import Proof

PROBES = 24  # a gateway with the old weight guesses all of them right with chance 2 ** -24
_AT_ONCE = 8
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where requests for `host` go in: `address` is the gateway's URL as the operator reaches it."""

    address: str
    host: str

    def client(self) -> httpx.AsyncClient:
        """A client that opens a new connection for each request."""
        return httpx.AsyncClient(
            base_url=self.address,
            headers={"Host": self.host, names.HEADER_PROBE: "1"},
            limits=httpx.Limits(max_keepalive_connections=0, max_connections=_AT_ONCE),
            timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,
        )


async def weight(gateway: Gateway, header: str, stable: str, canary: str, chance: random.Random) -> Proof:
    """Whether `header` decides between the two revisions: then the write that introduced it is live."""
    expected = [("always", canary), ("never", stable)] * (PROBES // 2)
    chance.shuffle(expected)
    return await _all_answer(gateway, [({header: value}, revision) for value, revision in expected])


async def role(gateway: Gateway, revision: str) -> Proof:
    """Whether plain requests are all answered by `revision`."""
    return await _all_answer(gateway, [({}, revision)] * PROBES)


async def smoke(gateway: Gateway, header: str, canary: str) -> Proof:
    """Whether the canary answers its own input example through the gateway, with a prediction in the right shape."""
    always = {header: "always"}
    try:
        async with gateway.client() as client:
            metadata = await client.get("/metadata", headers=always)
            example, wrong = _field(metadata, canary, "input_example")
            if wrong is not None:
                return wrong
            answer = await client.post("/predict", json=example, headers=always)
    except httpx.HTTPError as error:
        return Proof(False, f"no smoke request through {gateway.address}: {str(error) or type(error).__name__}")
    predictions, wrong = _field(answer, canary, "predictions")
    if wrong is None and not predictions:
        return Proof(False, "the canary answered its own input example without a prediction", by_canary=True)
    return wrong or Proof(True)


def _field(answer: httpx.Response, canary: str, field: str) -> tuple[Any, Proof | None]:
    """`field` of the canary's JSON answer, or what is wrong with the answer."""
    if answer.headers.get(names.HEADER_REVISION) != canary:
        return None, Proof(False, f"the smoke request was answered by {_who(answer)} instead of {canary}")
    try:
        body = answer.json()
    except ValueError:
        body = None
    if answer.status_code != httpx.codes.OK or not isinstance(body, dict) or field not in body:
        said = f"{answer.status_code}, without {field}: {answer.text[:200]}"
        return None, Proof(False, f"the canary answered {answer.request.url.path} with {said}", by_canary=True)
    return body[field], None


async def _all_answer(gateway: Gateway, requests: Sequence[tuple[Mapping[str, str], str]]) -> Proof:
    async with gateway.client() as client:

        async def ask(headers: Mapping[str, str], revision: str) -> str:
            try:
                answer = await client.get("/metadata", headers=headers)
            except httpx.HTTPError as error:
                return f"{gateway.address} gave no answer: {str(error) or type(error).__name__}"
            return "" if answer.headers.get(names.HEADER_REVISION) == revision else f"{_who(answer)} answered"

        wrong = [words for words in await asyncio.gather(*(ask(*request) for request in requests)) if words]
    if not wrong:
        return Proof(True)
    return Proof(False, f"probes for {gateway.host} went elsewhere: {wrong[0]}")


def _who(answer: httpx.Response) -> str:
    revision = answer.headers.get(names.HEADER_REVISION)
    return f"revision {revision}" if revision else f"no model server (status {answer.status_code})"
