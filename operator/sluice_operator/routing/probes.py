"""Requests through the gateway that prove what it does: that a weight, a swap or a new model is live.

Each request opens a new connection, so that every worker of the gateway is reached. Each has the header that keeps it
out of the model server's counters.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import msgspec

from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.api.observation import Proof
from sluice_operator.http_client import Http
from sluice_operator.routing.gateway import Gateway, GatewayError, Reply
from sluice_operator.telemetry.stages import in_stage

PROBES = 24  # a gateway with the old weight answers all of them as expected with probability 2 ** -24
_FIRST = 2  # of each kind, before all others are sent
_NO_ENDPOINTS = (502, 503, 504)  # what a gateway answers for a Service without ready pods
_TAKE_OFF = (
    "the gateway must take the path off, by use-regex and rewrite-target of nginx.ingress.kubernetes.io, or by the"
    " URLRewrite of an HTTPRoute"
)
_NOTHING = (b"[]", b"{}", b"null", b'""', b"false", b"0")  # no predictions
Form = TypeVar("Form", "_Metadata", "_Predictions")


@dataclass(frozen=True, slots=True)
class Split:
    """A written weight and its probe header. `stable_ready`: whether stable has pods that could answer."""

    header: str
    stable: str
    canary: str
    weight: int
    stable_ready: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered a probe: the name of a revision, or what happened instead."""

    revision: str = ""
    status: int = 0
    redirect: str = ""  # to another place than https on the same host, which is followed
    error: str = ""

    def __str__(self) -> str:
        if self.error:
            return self.error
        leads = f", a redirect to {self.redirect}" if self.redirect else ""
        return f"revision {self.revision}" if self.revision else f"no model server (status {self.status}{leads})"

    @property
    def no_endpoints(self) -> bool:
        """Whether the gateway found no pod to ask."""
        return not self.revision and self.status in _NO_ENDPOINTS


@dataclass(frozen=True, slots=True)
class _Probe:
    """A request with these headers, and the revisions of which one must answer it."""

    headers: Mapping[str, str]
    expected: Collection[str]

    @property
    def plain(self) -> bool:
        """Whether it is what a caller sends."""
        return not self.headers


class _Metadata(msgspec.Struct):
    """The part of `/metadata` that is sent back; not parsed, so that it costs no memory."""

    input_example: msgspec.Raw


class _Predictions(msgspec.Struct):
    """The answer to a smoke request."""

    predictions: msgspec.Raw


@in_stage("gateway")
async def weight(gateway: Gateway, split: Split, chance: random.Random) -> Proof:
    """Whether the probe header decides which revision answers, and nobody but these two answers callers.

    If so, the write with this header is live. Where stable has no ready pod, its silence says nothing about the weight.
    """
    anybody = {split.stable} if split.weight == 0 else {split.stable, split.canary}
    kinds = [
        _Probe({split.header: "always"}, {split.canary}),
        _Probe({split.header: "never"}, {split.stable}),
        _Probe({}, anybody),
    ]
    first, others = kinds * _FIRST, kinds * (PROBES // 2 - _FIRST)
    chance.shuffle(first)
    chance.shuffle(others)
    if not split.stable_ready:  # then only all answers together say something
        first, others = first + others, []
    sent, wrong = await _answered_otherwise(gateway, first, others)
    if not wrong:
        return Proof(True)
    strangers = any(probe.plain and _is_stranger(answer, split) for probe, answer in wrong)
    silent = not split.stable_ready and all(answer.no_endpoints for _, answer in wrong)
    live = silent and not any(split.canary in probe.expected for probe, _ in wrong if not probe.plain)
    detail = _detail(gateway, sent, [answer for _, answer in wrong])
    return Proof(live, detail, no_endpoints=silent, strangers=strangers)


@in_stage("gateway")
async def role(gateway: Gateway, revision: str) -> Proof:
    """Whether `revision` answers all requests without a probe header."""
    probes = [_Probe({}, {revision})] * PROBES
    sent, wrong = await _answered_otherwise(gateway, probes[:_FIRST], probes[_FIRST:])
    return Proof(False, _detail(gateway, sent, [answer for _, answer in wrong])) if wrong else Proof(True)


@in_stage("gateway")
async def plain(gateway: Gateway, number: int) -> list[Answer]:
    """Who answers `number` requests as callers send them."""
    return await _answers(gateway, [{}] * number)


@in_stage("gateway")
async def smoke(gateway: Gateway, header: str, canary: str) -> Proof:
    """Whether the canary answers one real prediction through the gateway, with its model's own input example."""
    to_canary = {header: "always"}
    try:
        async with gateway.client() as client:
            metadata = _read(await gateway.metadata(client, to_canary), canary, "/metadata", _Metadata)
            if isinstance(metadata, Proof):
                return metadata
            try:
                reply = await gateway.predict(client, to_canary, bytes(metadata.input_example))
            except GatewayError as error:
                if not error.slow:
                    raise
                return Proof(False, f"the smoke request: {error} (SLUICE_SMOKE_TIMEOUT)", by_canary=True)
    except GatewayError as error:
        return Proof(False, f"no smoke request: {error}")
    answer = _read(reply, canary, "/predict", _Predictions)
    if isinstance(answer, Proof):
        return answer
    if bytes(answer.predictions).translate(None, b" \t\r\n") in _NOTHING:
        return Proof(False, "the canary answered its own input example without a prediction", by_canary=True)
    return Proof(True)


def _read(reply: Reply, canary: str, path: str, form: type[Form]) -> Form | Proof:
    """The canary's JSON answer, or what is wrong with it. Whatever its image answers, nothing is raised."""
    if reply.revision != canary:
        return Proof(False, f"the smoke request was answered by {_seen(reply)} instead of {canary}")
    if reply.body is None:
        return Proof(False, f"the canary's answer to {path} is too long, and was not read", by_canary=True)
    try:
        if reply.status == HTTPStatus.OK:
            return msgspec.json.decode(reply.body, type=form)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass  # it is told below
    needed, shown = ", ".join(form.__struct_fields__), in_one_line(reply.body[:800].decode(errors="replace"))
    return Proof(False, f"the canary answered {path} with {reply.status}, without {needed}: {shown}", by_canary=True)


async def _answered_otherwise(
    gateway: Gateway, first: Sequence[_Probe], others: Sequence[_Probe]
) -> tuple[int, list[tuple[_Probe, Answer]]]:
    """How many probes were sent, and those that none of the expected revisions answered, with what happened instead.

    The `others` are sent if the `first` are answered as expected: a write that is not live yet is asked about often.
    """
    wrong = await _wrong(gateway, first)
    if wrong or not others:
        return len(first), wrong
    return len(first) + len(others), await _wrong(gateway, others)


async def _wrong(gateway: Gateway, sent: Sequence[_Probe]) -> list[tuple[_Probe, Answer]]:
    pairs = zip(sent, await _answers(gateway, [probe.headers for probe in sent]), strict=True)
    return [(probe, answer) for probe, answer in pairs if answer.revision not in probe.expected]


async def _answers(gateway: Gateway, sent: Sequence[Mapping[str, str]]) -> list[Answer]:
    """Who answers requests with these headers, in their order."""
    try:
        async with gateway.client() as client:
            return list(await asyncio.gather(*(_answer(gateway, client, headers) for headers in sent)))
    except GatewayError as error:
        return [Answer(error=str(error))] * len(sent)


async def _answer(gateway: Gateway, client: Http, headers: Mapping[str, str]) -> Answer:
    try:
        reply = await gateway.who(client, headers)
        if reply.revision and reply.status == HTTPStatus.NOT_FOUND and (path := gateway.place.prefix):
            return Answer(error=f"a model server that got {path}/metadata as it is: {_TAKE_OFF}")
        return _seen(reply)
    except GatewayError as error:
        return Answer(error=f"{error} (SLUICE_PROBE_TIMEOUT)" if error.slow else str(error))


def _seen(reply: Reply) -> Answer:
    return Answer(reply.revision, reply.status, in_one_line(reply.redirect.partition("?")[0]))


def _is_stranger(answer: Answer, split: Split) -> bool:
    """Whether a model server or another program answered that belongs to neither side."""
    ours = answer.revision in (split.stable, split.canary)
    return not (ours or answer.error or answer.no_endpoints or answer.status == HTTPStatus.NOT_FOUND)


def _detail(gateway: Gateway, sent: int, wrong: Sequence[Answer]) -> str:
    """Where the probes went, the most frequent first."""
    by = ", ".join(f"{number} to {where}" for where, number in Counter(map(str, wrong)).most_common(3))
    return f"{len(wrong)} of {sent} probes for {gateway.place} went elsewhere: {by}"
