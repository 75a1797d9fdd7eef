"""Asks registries in the background: a reconcile gets the newest answer at once, and never waits for a registry.

Objects with the same question share its answer. When the answer to a question changes, its objects are woken.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from sluice_operator.api.observation import HoldOutAnswer, NotAnswered, Resolution, Resolved, Unreachable
from sluice_operator.api.owner import Key
from sluice_operator.api.revision import Model
from sluice_operator.mlflow import uris
from sluice_operator.mlflow.alias_lists import AliasLists
from sluice_operator.mlflow.alias_moves import AliasMove, AliasMoves
from sluice_operator.mlflow.client import Listed, Registry
from sluice_operator.mlflow.connection import Connection
from sluice_operator.mlflow.pauses import growing

_log = logging.getLogger(__name__)
_AT_ONCE = 4  # requests to one registry; the others wait for their turn, and for no other registry
_PATIENCE = 5.0  # seconds, after which a registry that is silent counts as unreachable
_LONGEST = 10.0  # seconds, after which a request is given up
_SLOW = 2.0  # seconds; whoever waited for a request that failed after longer than this does not try for himself
_RETRY = 5.0  # seconds, after the first answer that is no model; longer each time
_STALE = 5.0  # seconds, after which an answer that is not polled is asked for again
_JITTER = 0.1  # of a poll interval, so that objects that were created together do not ask together for ever

_Id = tuple[object, ...]


@dataclass(eq=False)
class _Question:
    """Mutable: one question to one registry, its newest answer, and the objects that want to know."""

    id: _Id
    via: Connection
    server: "_Server"
    ask: Callable[[], Awaitable[Any]]
    poll: float | None  # seconds between two requests; None: only when somebody reads it
    since: float  # when it was asked first, of a monotonic clock
    alias: uris.ByAlias | None  # that it resolves
    answer: Any = None
    answered_at: float | None = None
    failures: int = 0
    listed: Listed | None = None  # what a list said of that when it was asked for last
    askers: set[Key] = field(default_factory=set)
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None


@dataclass(eq=False)
class _Server:
    """Mutable: one registry. Only a few questions are with it at a time, so a silent one holds nobody else up."""

    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    questions: int = 0  # that there are
    silent_at: float = float("-inf")  # when a request had failed after a long wait, of a monotonic clock
    trouble: Unreachable = field(default_factory=lambda: Unreachable(""))


class BackgroundRegistry:
    """The answers of all registries. `wake`: is called with each object for which an answer has changed."""

    def __init__(
        self,
        registry: Registry,
        wake: Callable[[Key], None],
        chance: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._wake = wake
        self._chance = chance
        self._clock = clock
        self._servers: dict[Connection, _Server] = {}
        self._questions: dict[_Id, _Question] = {}
        self._asked: dict[tuple[Key, str], _Question] = {}  # by object and kind of question
        self._lists = AliasLists(registry, clock)
        self._moves = AliasMoves(registry, self._alias_moved, wake, chance)

    def resolve(self, key: Key, uri: str, via: Connection, poll_seconds: float) -> Resolution:
        """The model version that `uri` names, polled every `poll_seconds` from now on."""

        def ask() -> Awaitable[Resolution]:
            return self._registry.resolve(uri, via)

        form = uris.parse(uri)
        alias = form if isinstance(form, uris.ByAlias) else None
        question = self._question(key, "resolve", via, (uri, poll_seconds), ask, poll_seconds, alias)
        if question.answered_at is not None:
            answer: Resolution = question.answer
            return answer
        if self._clock() < question.since + _PATIENCE:
            return NotAnswered()
        return self._silent(via)

    def hold_outs(self, key: Key, models: Iterable[tuple[Model, Connection]]) -> list[HoldOutAnswer]:
        """The results of models, which come with their registries, on their hold-outs."""
        return [self._hold_out(key, f"hold-out {place}", *asked) for place, asked in enumerate(models)]

    def alias_version(self, key: Key, via: Connection, named: uris.Named) -> str | None:
        """The version that an alias points to, or that is in a stage; None if that is not known."""

        def ask() -> Awaitable[str | None]:
            return self._registry.named_version(via, named)

        answer: str | None = self._question(key, "alias", via, (named,), ask).answer
        return answer

    def move_alias(self, key: Key, via: Connection, named: uris.Named, version: str) -> None:
        """Begin to have an alias or a stage name `version`. The object is woken when that is done, or refused."""
        self._moves.begin(key, AliasMove(via, named, version))

    def leave_alias(self, key: Key) -> None:
        """The object wants no alias to be moved, or has seen that it is done."""
        self._moves.leave(key)

    def alias_trouble(self, key: Key) -> str:
        """Why the alias that the object wants was not moved the last time; empty if nothing is known to be wrong."""
        return self._moves.trouble(key)

    def forget(self, key: Key) -> None:
        """Drop the questions of an object that is gone."""
        self._moves.leave(key)
        for asked in [asked for asked in self._asked if asked[0] == key]:
            self._leave(asked)

    def _hold_out(self, key: Key, kind: str, model: Model, via: Connection) -> HoldOutAnswer:
        def ask() -> Awaitable[HoldOutAnswer]:
            return self._registry.hold_out(model, via)

        question = self._question(key, kind, via, (model.uri, model.run_id), ask)
        if question.answered_at is None:
            return self._silent(via)
        answer: HoldOutAnswer = question.answer
        return answer

    def _alias_moved(self, key: Key) -> None:
        if (question := self._asked.get((key, "alias"))) is not None:
            self._refresh(question)

    def _question(
        self,
        key: Key,
        kind: str,
        via: Connection,
        terms: tuple[object, ...],
        ask: Callable[[], Awaitable[Any]],
        poll: float | None = None,
        alias: uris.ByAlias | None = None,
    ) -> _Question:
        """The question of this kind that the object `key` has now. It has no other one of this kind any more."""
        wanted: _Id = (kind, via, *terms)
        before = self._asked.get((key, kind))
        if before is not None and before.id != wanted:
            self._leave((key, kind))
        question = self._questions.get(wanted)
        if question is None:
            server = self._servers.setdefault(via, _Server())
            server.questions += 1
            question = self._questions[wanted] = _Question(wanted, via, server, ask, poll, self._clock(), alias)
        self._asked[key, kind] = question
        question.askers.add(key)
        stale = question.answered_at is None or (poll is None and self._clock() >= question.answered_at + _STALE)
        if stale and question.timer is None:
            self._refresh(question)
        return question

    def _leave(self, asked: tuple[Key, str]) -> None:
        question = self._asked.pop(asked)
        question.askers.discard(asked[0])
        if not question.askers:
            del self._questions[question.id]
            question.server.questions -= 1
            if not question.server.questions:
                del self._servers[question.via]
                self._lists.forget(question.via)
            if question.timer is not None:
                question.timer.cancel()

    def _refresh(self, question: _Question) -> None:
        """Ask, unless that is under way."""
        question.timer = None
        if question.task is not None or not question.askers:
            return
        if self._is_confirmed(question):
            self._poll_later(question)
        else:
            question.task = self._start(self._ask(question), Context())  # not that of the object that asks first

    def _start(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work, context=context)

    async def _ask(self, question: _Question) -> None:
        if question.answered_at is None:  # whoever waits for it hears after a while that there is no answer yet
            asyncio.get_running_loop().call_later(_PATIENCE, self._tell_if_silent, question)
        answer = await self._answer(question, self._clock())
        changed = question.answered_at is None or answer != question.answer
        question.answer, question.answered_at, question.task = answer, self._clock(), None
        question.failures = 0 if isinstance(answer, Resolved) else question.failures + 1
        self._poll_later(question)
        if changed:
            self._wake_askers(question)

    def _poll_later(self, question: _Question) -> None:
        if question.poll is not None and question.askers:
            pause = self._pause(question.poll, question.failures)
            question.timer = asyncio.get_running_loop().call_later(pause, self._refresh, question)

    def _is_confirmed(self, question: _Question) -> bool:
        """Whether the newest list of the registry says the same as when the alias was asked for last."""
        if not isinstance(question.answer, Resolved) or question.alias is None or question.listed is None:
            return False
        is_same = self._lists.find(question.via, question.alias) == question.listed
        return is_same and question.listed.version == question.answer.model.version

    async def _asked_or_listed(self, question: _Question) -> Any:
        if question.alias is None:
            return await question.ask()
        if question.answer is not None:
            await self._lists.renew(question.via, question.server.questions)
            if self._is_confirmed(question):
                return question.answer
        listed = self._lists.find(question.via, question.alias)  # before: if it changes meanwhile, it is asked again
        answer = await question.ask()
        question.listed = listed
        return answer

    async def _answer(self, question: _Question, queued_at: float) -> Any:
        server = question.server
        async with server.places:
            if server.silent_at > queued_at:
                return server.trouble
            began = self._clock()
            try:
                async with asyncio.timeout(_LONGEST):
                    answer = await self._asked_or_listed(question)
            except TimeoutError:
                answer = Unreachable(f"MLflow did not answer within {_LONGEST:.0f} s")
            except Exception as error:  # an answer that nobody thought of must not end the polling
                _log.exception("the answer of a registry cannot be used")
                answer = Unreachable(f"MLflow's answer cannot be used: {type(error).__name__}")
            if isinstance(answer, Unreachable) and self._clock() > began + _SLOW:
                server.silent_at, server.trouble = self._clock(), answer
            return answer

    def _pause(self, poll: float, failures: int) -> float:
        seconds = growing(_RETRY, poll, failures - 1) if failures else poll
        return seconds * self._chance.uniform(1 - _JITTER, 1 + _JITTER)

    def _tell_if_silent(self, question: _Question) -> None:
        if question.answered_at is None:
            self._wake_askers(question)

    def _wake_askers(self, question: _Question) -> None:
        for key in question.askers:
            self._wake(key)

    def _silent(self, via: Connection) -> Unreachable:
        where = f"MLflow at {via.tracking_uri}" if via.tracking_uri else "MLflow"
        return Unreachable(f"{where} has not answered yet")
