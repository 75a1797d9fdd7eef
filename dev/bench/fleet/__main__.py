"""`python -m dev.bench.fleet`: what a large fleet costs the operator, on a real API server with stand-ins for the rest.

It prints the tables of docs/testing.md. It ends everything that it starts.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dev import api_server
from dev.bench.fleet import fleet, process, world
from dev.bench.fleet.stages import TICK_SECONDS, Cost, Delays, Stages

_START_SECONDS, _SETTLE_SECONDS = 120.0, 900.0
_FIRST_LOOKS = 20.0  # per second, that the operator allows itself after a start
_BREACH_SECONDS = 900.0  # that breaks late in a run, and may be a burst for minutes
_PER_OBJECT_SECONDS = 3.0  # to bring one up, at the most
_MB = 2**20


async def _measured(arguments: argparse.Namespace, folder: Path) -> None:
    keys = [fleet.key_of(number) for number in range(arguments.objects)]
    tree = arguments.operator.resolve()
    async with world.started(folder) as around:
        await fleet.create(around.api, keys, around.hanging)
        serving = keys[:-1]  # the last one has a registry that never answers
        if not await around.is_settled(serving):
            with process.operating(tree, folder, {**around.settings, "SLUICE_WORKERS": "16"}) as operator:
                began = time.time()
                await around.stages(operator).settled(serving, _START_SECONDS + _PER_OBJECT_SECONDS * len(keys))
                print(f"{len(keys)} objects are up after {time.time() - began:.0f} s", flush=True)
        with process.operating(tree, folder, around.settings) as operator:
            await _report(arguments, around.stages(operator), keys)


async def _report(arguments: argparse.Namespace, stages: Stages, keys: Sequence[fleet.Key]) -> None:
    first_looks = len(keys) / _FIRST_LOOKS
    print(f"at rest {await stages.at_rest(first_looks, _SETTLE_SECONDS):.0f} s after the start", flush=True)
    print(_cost_row(f"{len(keys)} idle", await stages.cost(arguments.seconds)), flush=True)
    broken, rolling = keys[: arguments.rollbacks], keys[arguments.rollbacks :][: arguments.rollouts]
    if broken:
        await _rollbacks(stages, broken)
    if rolling:
        await _rollouts(arguments, stages, rolling)


async def _rollbacks(stages: Stages, keys: Sequence[fleet.Key]) -> None:
    await _begin(stages, keys)
    written, live = await stages.break_canaries(keys, _BREACH_SECONDS + _PER_OBJECT_SECONDS * len(keys))
    print(_delay_row("breach answered to weight 0 written", written), flush=True)
    print(_delay_row("breach answered to weight 0 proven live", live), flush=True)


async def _rollouts(arguments: argparse.Namespace, stages: Stages, keys: Sequence[fleet.Key]) -> None:
    await _begin(stages, keys)
    since = time.time() + 4 * TICK_SECONDS
    await asyncio.sleep(4 * TICK_SECONDS)
    print(_cost_row(f"{len(keys)} rollouts", await stages.cost(arguments.seconds)), flush=True)
    print(_delay_row("newest tick judged after its close", stages.judged_after(keys, since)), flush=True)


async def _begin(stages: Stages, keys: Sequence[fleet.Key]) -> None:
    took = await stages.begin_rollouts(keys, _START_SECONDS + _PER_OBJECT_SECONDS * len(keys))
    print(f"{len(keys)} canaries are judged after {took:.0f} s", flush=True)


def _cost_row(what: str, cost: Cost) -> str:
    verbs = ", ".join(f"{number} {verb}" for verb, number in cost.by_verb.most_common(8))
    return (
        f"{what}: {cost.memory / _MB:.0f} MiB, {100 * cost.cpu:.1f} % of a core, {cost.requests:.1f} API requests/s, "
        f"{cost.registry:.1f} registry requests/s (load {os.getloadavg()[0]:.1f})\n  {verbs}"
    )


def _delay_row(what: str, delays: Delays) -> str:
    p50, p95, p99, most = (delays.quantile(share) for share in (0.5, 0.95, 0.99, 1.0))
    numbers = f"p50 {p50:.2f} s, p95 {p95:.2f} s, p99 {p99:.2f} s, most {most:.2f} s"
    return f"{what}: {numbers} (of {len(delays.seconds)}, load {os.getloadavg()[0]:.1f})"


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.fleet", description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=1000, help="ModelDeployments at rest")
    parser.add_argument("--rollouts", type=int, default=200, help="of them, that roll out at once at the end")
    parser.add_argument("--rollbacks", type=int, default=50, help="others, whose canary breaks before")
    parser.add_argument("--seconds", type=float, default=60.0, help="for which each stage is measured")
    parser.add_argument("--operator", type=Path, default=api_server.ROOT, help="source tree of the operator")
    parser.add_argument("--state", type=Path, help="folder in which the objects are kept for another run")
    arguments = parser.parse_args(argv)
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with contextlib.ExitStack() as ending:
        folder = arguments.state or Path(ending.enter_context(TemporaryDirectory(prefix="sluice-fleet-")))
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(_measured(arguments, folder.resolve()))


if __name__ == "__main__":
    main(sys.argv[1:])
