"""Operators that share a cluster by the labels of its namespaces: never two in one. Time is simulated."""

from __future__ import annotations

import asyncio

import pytest

from sluice_operator.controller.scheduling.own_namespaces import OwnNamespaces
from sluice_operator.kubernetes.port import NoAnswer
from sluice_operator.kubernetes.shard import Shard
from tests.unit.sluice_operator.simulated_time import simulated


class Namespaces:
    """The namespaces as one operator reads them, with the one label that each has. The list may be cut off for it."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels
        self.broken = self.silent = False

    async def namespaces(self, selector: str) -> frozenset[str]:
        if self.silent:
            await asyncio.sleep(3600)
        if self.broken:
            raise NoAnswer("refused")
        return frozenset(name for name, label in self._labels.items() if label == selector)


class Pair:
    """Operators a and b, and which of them was woken for which namespace."""

    def __init__(self) -> None:
        self.labels = {"models": "a", "others": "b"}
        self.sources = [Namespaces(self.labels), Namespaces(self.labels)]
        clock = asyncio.get_running_loop().time
        self.a, self.b = (Shard(source, name, clock) for source, name in zip(self.sources, "ab", strict=True))
        self.woken: list[str] = []
        self.running = [asyncio.create_task(shard.run(self.woken.append)) for shard in (self.a, self.b)]

    async def had_by(self, seconds: float, namespace: str = "models") -> list[str]:
        """Who could write in the namespace in this time, without repetitions. It is never both."""
        had: list[str] = []
        for _ in range(round(seconds * 10)):
            writers = [name for name, shard in (("a", self.a), ("b", self.b)) if shard.may_write(namespace)]
            assert len(writers) <= 1, "there are two writers"
            if had[-1:] != (now := writers or ["nobody"]):
                had += now
            await asyncio.sleep(0.1)
        assert not any(task.done() for task in self.running)
        return had

    def stop(self) -> None:
        for task in self.running:
            task.cancel()


def test_each_operator_has_the_namespaces_with_its_label() -> None:
    """Not from its first moment, because another one may just have had them."""

    async def scenario() -> None:
        pair = Pair()
        assert await pair.had_by(60) == ["nobody", "a"]
        assert await pair.had_by(3600) == ["a"]
        assert await pair.had_by(3600, "others") == ["b"]
        assert await pair.had_by(60, "unlabelled") == ["nobody"]
        assert sorted(pair.woken) == ["models", "others"]
        pair.stop()

    simulated(scenario)


@pytest.mark.parametrize("fault", ["", "broken", "silent"])
def test_a_namespace_whose_label_moves_has_never_two_writers(fault: str) -> None:
    """Also if who had it cannot read that. Both are woken: one to forget its objects, one to look at them."""

    async def scenario() -> None:
        pair = Pair()
        await pair.had_by(60)
        pair.woken.clear()
        if fault:
            setattr(pair.sources[0], fault, True)
        pair.labels["models"] = "b"
        assert await pair.had_by(30) == ["a", "nobody", "b"]
        assert pair.woken == ["models"] * (1 if fault else 2)
        pair.stop()

    simulated(scenario)


def test_a_namespace_that_moved_away_and_back_while_the_list_was_cut_off_is_taken_anew() -> None:
    """The other operator may still believe in it when the list is there again."""

    async def scenario() -> None:
        pair = Pair()
        await pair.had_by(60)
        pair.sources[0].broken = True
        pair.labels["models"] = "b"
        assert await pair.had_by(60) == ["a", "nobody", "b"]
        pair.sources[0].broken = False
        pair.labels["models"] = "a"
        pair.sources[1].broken = True  # it cannot read that it has lost it
        assert await pair.had_by(60) == ["b", "nobody", "a"]
        pair.stop()

    simulated(scenario)


def test_a_short_outage_of_the_list_takes_no_namespace_away() -> None:
    """Three lists in a row may fail."""

    async def scenario() -> None:
        pair = Pair()
        await pair.had_by(60)
        pair.sources[0].broken = True
        assert await pair.had_by(6) == ["a"]
        pair.sources[0].broken = False
        assert await pair.had_by(60) == ["a"]
        pair.stop()

    simulated(scenario)


def test_an_operator_without_an_api_server_keeps_its_objects_and_writes_nothing() -> None:
    """They are not forgotten meanwhile, so none of them gets lost."""

    async def scenario() -> None:
        pair = Pair()
        await pair.had_by(60)
        pair.woken.clear()
        pair.sources[0].broken = True
        await pair.had_by(600)
        assert ("models" in pair.a, pair.a.may_write("models"), pair.woken) == (True, False, [])
        pair.sources[0].broken = False
        assert await pair.had_by(30) == ["nobody", "a"]
        assert pair.woken == ["models", "models"]
        pair.stop()

    simulated(scenario)


def test_an_object_of_another_operator_is_not_looked_at_and_forgotten() -> None:
    """Its run in memory, its metrics, and its questions to the registry."""
    looked, forgotten = list[tuple[str, str]](), list[tuple[str, str]]()

    async def work(namespace: str, name: str) -> float | None:
        looked.append((namespace, name))
        return 5.0

    own = OwnNamespaces(work, {"models"}, lambda *key: forgotten.append(key))
    assert asyncio.run(own("models", "iris")) == 5.0
    assert asyncio.run(own("others", "iris")) is None
    assert (looked, forgotten) == ([("models", "iris")], [("others", "iris")])


def test_an_operator_that_cannot_list_its_namespaces_says_so() -> None:
    """A short outage is none."""

    async def scenario() -> None:
        pair = Pair()
        assert pair.a.trouble() == ""
        pair.sources[0].broken = True
        await pair.had_by(6)
        assert pair.a.trouble() == "works nowhere: the namespaces with a cannot be listed: refused"
        pair.sources[0].broken = False
        await pair.had_by(60)
        assert pair.a.trouble() == ""
        pair.sources[0].broken = True
        await pair.had_by(6)
        assert pair.a.trouble() == ""
        await pair.had_by(6)
        assert "refused" in pair.a.trouble()
        pair.stop()

    simulated(scenario)
