"""Measures one reconcile: its duration, and what of it each stage took.

A stage that is entered several times, such as the probes of the gateway, is counted once with the sum. What a stage
does in the name of another one, such as the queries of a run record, is part of the outer one.
"""

import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sluice_operator.telemetry.metrics import RECONCILE_DURATION, RECONCILE_FAILURES, STAGE_DURATION

P = ParamSpec("P")
T = TypeVar("T")
_spent: ContextVar[dict[str, float] | None] = ContextVar("spent", default=None)  # seconds by stage, in this reconcile


@contextmanager
def reconcile() -> Iterator[None]:
    """The duration of what is done inside is that of one reconcile. An exception is counted, and goes on."""
    spent: dict[str, float] = {}
    token, began = _spent.set(spent), time.perf_counter()
    try:
        yield
    except Exception:
        RECONCILE_FAILURES.inc()
        raise
    finally:
        _spent.reset(token)
        RECONCILE_DURATION.observe(time.perf_counter() - began)
        for stage_name, seconds in spent.items():
            STAGE_DURATION.labels(stage_name).observe(seconds)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """What is done inside belongs to this stage of the reconcile: one of `metrics.STAGES`."""
    spent, began = _spent.get(), time.perf_counter()
    token = _spent.set(None)  # for stages inside
    try:
        yield
    finally:
        _spent.reset(token)
        if spent is not None:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - began


def in_stage(name: str) -> Callable[[Callable[P, Coroutine[Any, Any, T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """A coroutine function whose work belongs to this stage."""

    def decorate(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @wraps(function)
        async def staged(*arguments: P.args, **named: P.kwargs) -> T:
            with stage(name):
                return await function(*arguments, **named)

        return staged

    return decorate
