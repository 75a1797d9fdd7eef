"""Moves aliases and stages in the background, each again and again with longer pauses until it is moved or not wanted.

MLflow may refuse a move for ever, as where the operator may not write. The last answer is kept, for the object to tell.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass

from sluice_operator.api.owner import Key
from sluice_operator.mlflow.client import Registry, RegistryError
from sluice_operator.mlflow.connection import Connection
from sluice_operator.mlflow.pauses import growing
from sluice_operator.mlflow.uris import Named

_log = logging.getLogger(__name__)
_LONGEST = 10.0  # seconds, after which a request is given up
_RETRY, _MOST = 5.0, 300.0  # seconds between two tries: the first pause, and the longest
_JITTER = 0.1


@dataclass(frozen=True, slots=True)
class AliasMove:
    """`named` is to name `version`."""

    via: Connection
    named: Named
    version: str


@dataclass(eq=False)
class _Attempt:
    """Mutable: what has become of one move so far. `trouble`: why it was not done the last time."""

    move: AliasMove
    tries: int = 0
    trouble: str = ""
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None


class AliasMoves:
    """At most one move for each object. `moved`: is called when one was done; `wake`: when its trouble is another."""

    def __init__(
        self, registry: Registry, moved: Callable[[Key], None], wake: Callable[[Key], None], chance: random.Random
    ) -> None:
        self._registry = registry
        self._moved = moved
        self._wake = wake
        self._chance = chance
        self._attempts: dict[Key, _Attempt] = {}

    def begin(self, key: Key, move: AliasMove) -> None:
        """Begin to move, unless that is under way."""
        if key in self._attempts and self._attempts[key].move == move:
            return
        self.leave(key)
        attempt = self._attempts[key] = _Attempt(move)
        self._try(key, attempt)

    def leave(self, key: Key) -> None:
        """The object asks for no move any more: it is seen to be done, or is not wanted."""
        attempt = self._attempts.pop(key, None)
        if attempt is not None and attempt.timer is not None:
            attempt.timer.cancel()

    def trouble(self, key: Key) -> str:
        """Why the alias of this object was not moved the last time; empty if nothing is known to be wrong."""
        return self._attempts[key].trouble if key in self._attempts else ""

    def _try(self, key: Key, attempt: _Attempt) -> None:
        attempt.task = asyncio.get_running_loop().create_task(self._run(key, attempt))

    async def _run(self, key: Key, attempt: _Attempt) -> None:
        trouble = await self._ask(attempt.move)
        if self._attempts.get(key) is not attempt:
            return
        if not trouble and attempt.tries:  # whoever sees it done leaves
            trouble = "MLflow says that it has moved it, and shows another version"
        told, attempt.trouble = attempt.trouble, trouble
        pause = growing(_RETRY, _MOST, attempt.tries) * self._chance.uniform(1 - _JITTER, 1 + _JITTER)
        attempt.tries += 1
        attempt.timer = asyncio.get_running_loop().call_later(pause, self._try, key, attempt)
        if trouble != told:
            _log.warning("%s was not moved yet: %s", attempt.move.named, trouble)
            self._wake(key)
        self._moved(key)

    async def _ask(self, move: AliasMove) -> str:
        try:
            async with asyncio.timeout(_LONGEST):
                await self._registry.move(move.via, move.named, move.version)
        except RegistryError as error:
            return str(error)
        except TimeoutError:
            return f"MLflow did not answer within {_LONGEST:.0f} s"
        except Exception as error:  # an answer that nobody thought of must not end the tries
            _log.exception("the answer of a registry cannot be used")
            return f"MLflow's answer cannot be used: {type(error).__name__}"
        return ""
