"""`python -m dev.bench.canaries`: identical canaries must stay and bad ones must be found, on the local cluster.

Exit codes: 0 all promises were kept; 1 one was broken, or not all canaries were tried; 130 interrupted.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

from rich.console import Console

from dev.bench import namespaces
from dev.bench.canaries import catalogue, summary
from dev.bench.canaries.catalogue import Kind
from dev.bench.canaries.lane import READY_WITHIN, CanaryResult, Lane
from dev.bench.canaries.predicted import predicted
from dev.demo import cluster, models, screen
from dev.demo.board import Board, NotReachedError
from dev.demo.cluster import Addresses, CommandError, Kubectl
from dev.demo.example import Example
from dev.demo.models import Version
from dev.demo.traffic import Stream

NAMESPACE = "canaries"
JOB = "train-canaries"
CLUSTER_PARTS = (("build",), ("up",), ("images", "faulty"), ("install",))


class Bench:
    """The benchmark: the canaries that wait, and the results of those that were tried."""

    def __init__(self, options: argparse.Namespace, console: Console, addresses: Addresses) -> None:
        self.queue = catalogue.queue(options.identical, options.bad)
        self.results: list[CanaryResult] = []
        self._options, self._gateway = options, addresses.gateway
        self._everywhere = catalogue.STALLS if options.stalls else catalogue.NO_FAULTS
        self._kubectl = Kubectl(addresses)
        self._waiting = list(enumerate(self.queue, 1))
        self._began = time.monotonic()
        self._print = partial(console.print, soft_wrap=True)

    async def run(self) -> None:
        """Try all canaries, on several ModelDeployments at the same time."""
        async with namespaces.empty(self._kubectl, NAMESPACE):
            versions = await models.trained(self._kubectl, JOB, catalogue.FLAGS)
            for role, version in versions.items():
                self.log("models", f"{role}: {version.uri}")
            async with asyncio.TaskGroup() as lanes:
                for number in range(1, self._options.lanes + 1):
                    lanes.create_task(self._lane(number, versions))

    def log(self, source: str, text: str) -> None:
        self._print(f"[{self._elapsed:5.0f} s] {source}: {text}")

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    async def _lane(self, number: int, versions: dict[str, Version]) -> None:
        name = f"lane-{number}"
        host = f"{name}.{NAMESPACE}.example.com"
        example = Example(cluster.ROOT, name, NAMESPACE, host, tuple(weight for weight, _ in catalogue.STEPS))
        board = Board(print_line=partial(self.log, name))
        limit = self._options.minutes * 60 + 2 * READY_WITHIN
        stream = Stream(
            self._gateway,
            host,
            rate=self._options.rate,
            max_requests=int(limit * self._options.rate),
            max_seconds=limit,
            seed=number,
        )
        await self._kubectl.apply(catalogue.deployment(name, NAMESPACE, host, versions["good"], self._everywhere))
        async with AsyncExitStack() as running:
            await running.enter_async_context(screen.watched(board, self._kubectl, example))
            await board.until("the first version serves", lambda status: status.phase == "Stable", READY_WITHIN)
            await running.enter_async_context(stream)
            await asyncio.sleep(self._options.baseline)
            lane = Lane(self._kubectl, NAMESPACE, name, board, stream, everywhere=self._everywhere)
            while self._waiting and self._elapsed < self._options.minutes * 60:
                await self._try(lane, name, *self._waiting.pop(0), versions)

    async def _try(self, lane: Lane, name: str, number: int, kind: Kind, versions: dict[str, Version]) -> None:
        self.log(name, f"#{number} of {len(self.queue)}: {kind.name}")
        result = await lane.try_canary(number, kind, versions)
        self.results.append(result)
        self.log(name, f"#{number} {kind.name}: {summary.line(result)}")


def _console() -> Console:
    """As wide as the table where the output is no terminal."""
    return Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200)


def main(argv: Sequence[str]) -> int:
    options, console = _parser().parse_args(argv), _console()
    interrupted = False
    try:
        for command in CLUSTER_PARTS:
            cluster.run_part(*command)
        bench = Bench(options, console, cluster.addresses())
    except CommandError as error:
        console.print(f"✗ {error}", style="bold red")
        return 1
    try:
        asyncio.run(_ended_by_signals(bench))
    except (KeyboardInterrupt, asyncio.CancelledError):
        interrupted = True
    bench.log("simulation", "the same canaries")
    console.print(summary.table(bench.results, predicted(options.rate, options.baseline)), width=200)
    promises = summary.promises(bench.queue, bench.results)
    for promise in promises:
        console.print(f"✓ {promise.text}" if promise.kept else f"✗ {promise.text}: {promise.found}")
    if interrupted:
        return 130
    return 0 if all(promise.kept for promise in promises) else 1


async def _ended_by_signals(bench: Bench) -> None:
    """Run the benchmark. SIGTERM ends it as Ctrl-C does: the namespace is removed."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await bench.run()
    except* (CommandError, NotReachedError) as troubles:
        for trouble in troubles.exceptions:
            bench.log("trouble", str(trouble))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.canaries", description=__doc__.splitlines()[0])
    parser.add_argument("--identical", type=int, default=20, help="identical canaries (default: %(default)s)")
    parser.add_argument("--bad", type=int, default=2, help="canaries of each bad kind (default: %(default)s)")
    parser.add_argument("--stalls", action="store_true", help="all servers stand still for 100 ms every few seconds")
    parser.add_argument("--lanes", type=int, default=5, help="ModelDeployments at the same time (default: %(default)s)")
    parser.add_argument(
        "--rate", type=float, default=50.0, help="predictions per second and lane (default: %(default)s)"
    )
    parser.add_argument(
        "--baseline",
        type=float,
        default=180.0,
        help="seconds of traffic before the first canary (default: %(default)s)",
    )
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="after them no canary is started (default: %(default)s)"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
