"""Two installs that watch one namespace: never two writers, and each knows the other. Time is simulated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.claims import Claims
from sluice_operator.kubernetes.port import NoAnswer, ReadRefused, WriteRefused
from tests.unit.sluice_operator.fakes import FakeKube
from tests.unit.sluice_operator.simulated_time import simulated

CLAIM = "ConfigMap", names.CLAIM


class Link:
    """The API server as one operator reaches it. `fault`: of its reads, `refusal`: of its writes."""

    def __init__(self, kube: FakeKube) -> None:
        self.kube = kube
        self.fault: Exception | None = None
        self.refusal: Exception | None = None
        self.silent = False

    async def _reach(self) -> None:
        if self.silent:
            await asyncio.sleep(3600)
        if self.fault:
            raise self.fault

    async def named(self, kind: str, namespace: str, name: str) -> list[Manifest]:
        await self._reach()
        return await self.kube.named(kind, namespace, name)

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        await self._reach()
        return await self.kube.get(kind, namespace, name)

    async def _write(self, write: Callable[[Manifest], Any], manifest: Manifest) -> None:
        await self._reach()
        if self.refusal:
            raise self.refusal
        await write(manifest)

    async def create(self, manifest: Manifest) -> None:
        await self._write(self.kube.create, manifest)

    async def apply(self, manifest: Manifest) -> None:
        await self._write(self.kube.apply, manifest)

    async def delete(self, manifest: Manifest) -> None:
        await self._write(self.kube.delete, manifest)


class Installs:
    """Operators a and b, and who was woken how often. `wanted_by`: those that find an object in the namespace."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.links = {name: Link(self.kube) for name in "ab"}
        self.labels = {"a": True, "b": True}
        self.woken: list[str] = []
        self.claims = {name: self._claims(name) for name in "ab"}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def _claims(self, name: str) -> Claims:
        clock = asyncio.get_running_loop().time
        return Claims(self.links[name], f"{name}/sluice-leader", has=lambda _: self.labels[name], clock=clock)

    def start(self, name: str) -> None:
        def wake(namespace: str) -> None:
            self.woken.append(name)
            self.claims[name].want(namespace)

        running = self.claims[name].run(wake, lambda namespace: True)
        self.tasks[name] = asyncio.create_task(running)
        self.claims[name].want("models")

    def end(self, name: str) -> None:
        self.tasks.pop(name).cancel()
        self.claims[name] = self._claims(name)

    async def had_by(self, seconds: float) -> list[str]:
        """Who could write in this time, without repetitions. It is never both."""
        had: list[str] = []
        for _ in range(round(seconds * 10)):
            for claims in self.claims.values():
                claims.want("models")
            writers = [name for name, claims in self.claims.items() if claims.may_write("models")]
            assert len(writers) <= 1, "there are two writers"
            if had[-1:] != (now := writers or ["nobody"]):
                had += now
            await asyncio.sleep(0.1)
        assert not any(task.done() for task in self.tasks.values())
        return had

    def stop(self) -> None:
        for task in self.tasks.values():
            task.cancel()


def scenario(play: Callable[[Installs], Any]) -> None:
    async def run() -> None:
        installs = Installs()
        await play(installs)
        installs.stop()

    simulated(run)


async def both(installs: Installs) -> None:
    """The namespace is a's, and b has learnt that."""
    installs.start("a")
    await installs.had_by(1)
    installs.start("b")
    assert await installs.had_by(20) == ["a"]


def test_a_namespace_without_a_claim_is_claimed_at_once() -> None:
    """Nobody waits in a new namespace."""

    async def play(installs: Installs) -> None:
        installs.start("a")
        assert await installs.had_by(600) == ["nobody", "a"]
        assert installs.woken == ["a"]
        assert installs.kube.writes == 1

    scenario(play)


def test_of_two_that_come_at_once_one_has_it() -> None:
    """Whoever creates the claim."""

    async def play(installs: Installs) -> None:
        installs.start("a")
        installs.start("b")
        assert await installs.had_by(600) == ["nobody", "a"]

    scenario(play)


def test_each_of_two_knows_the_other() -> None:
    """Who works there says who else watches it, and the other one who works there. Both are woken to tell."""

    async def play(installs: Installs) -> None:
        await both(installs)
        a, b = installs.claims["a"], installs.claims["b"]
        assert (a.rival("models"), a.refused()) == ("b/sluice-leader", {})
        assert (b.rival("models"), b.refused()) == ("", {"models": "a/sluice-leader"})
        assert installs.woken == ["a", "a", "b"]
        assert await installs.had_by(3600) == ["a"]
        assert (a.rival("models"), b.refused_by("models")) == ("b/sluice-leader", "a/sluice-leader")
        assert installs.woken == ["a", "a", "b"]

    scenario(play)


def test_a_second_one_that_goes_away_is_forgotten() -> None:
    """And who works there is woken to say so."""

    async def play(installs: Installs) -> None:
        await both(installs)
        installs.end("b")
        assert await installs.had_by(300) == ["a"]
        assert (installs.claims["a"].rival("models"), installs.woken[-1]) == ("", "a")

    scenario(play)


@pytest.mark.parametrize("fault", ["ended", "broken", "silent"])
def test_a_claim_that_nobody_answers_for_is_taken(fault: str) -> None:
    """Also if who had it is only cut off: it writes no more before the other one does, and finds that out later."""

    async def play(installs: Installs) -> None:
        await both(installs)
        if fault == "ended":
            installs.end("a")
        elif fault == "broken":
            installs.links["a"].fault = NoAnswer("refused")
        else:
            installs.links["a"].silent = True
        assert (await installs.had_by(120))[-2:] == ["nobody", "b"]
        assert installs.claims["b"].refused() == {}
        if fault != "ended":
            installs.links["a"].fault, installs.links["a"].silent = None, False
            assert await installs.had_by(7200) == ["b"]
            assert installs.claims["a"].refused_by("models") == "b/sluice-leader"

    scenario(play)


def test_an_operator_that_starts_again_has_its_claims() -> None:
    """Also without a look at an object, and without a pause."""

    async def play(installs: Installs) -> None:
        await both(installs)
        installs.end("a")
        installs.start("a")
        assert await installs.had_by(600) == ["nobody", "a"]

    scenario(play)


def test_a_short_outage_takes_no_namespace_away() -> None:
    """Three looks in a row may fail."""

    async def play(installs: Installs) -> None:
        await both(installs)
        installs.links["a"].fault = ReadRefused("no list")
        assert await installs.had_by(14) == ["a"]
        installs.links["a"].fault = None
        assert await installs.had_by(600) == ["a"]

    scenario(play)


def test_a_namespace_whose_label_moves_is_given_up() -> None:
    """The other one need not ask."""

    async def play(installs: Installs) -> None:
        installs.labels["b"] = False
        installs.start("a")
        installs.start("b")
        await installs.had_by(10)
        installs.labels.update(a=False, b=True)
        assert (await installs.had_by(15))[-1] == "b"

    scenario(play)


def test_a_claim_that_somebody_deletes_is_made_again() -> None:
    """Nothing else happens."""

    async def play(installs: Installs) -> None:
        installs.start("a")
        await installs.had_by(10)
        del installs.kube.objects[CLAIM]
        assert await installs.had_by(60) == ["a"]
        assert CLAIM in installs.kube.objects

    scenario(play)


def test_where_nobody_can_have_a_claim_the_operator_works_without_one() -> None:
    """A quota, or the end of the namespace, keeps no canary's requests where they are."""

    async def play(installs: Installs) -> None:
        installs.links["a"].refusal = WriteRefused("exceeded quota")
        installs.start("a")
        assert await installs.had_by(60) == ["nobody", "a"]

    scenario(play)
