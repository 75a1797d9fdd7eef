"""`python -m dev.demo`: starts a cluster, promotes a better version and rolls back a bad one, with real traffic.

Exit codes: 0 all promises were kept; 1 one was not, and it is named; 130 ended with Ctrl-C.
"""

import argparse
import asyncio
import os
import random
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

from rich.console import Console

from dev.demo import cluster, example, models, promises, screen, summary, tally
from dev.demo.board import Board, NotReachedError
from dev.demo.chaos import Chaos
from dev.demo.cluster import Addresses, CommandError, Kubectl
from dev.demo.models import Versions
from dev.demo.story import Story
from dev.demo.traffic import Stream

CLUSTER_PARTS = ("build", "up", "images", "install")


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    console = Console(highlight=False, markup=False)
    board = Board(print_line=partial(console.print, soft_wrap=True))
    try:
        for command in CLUSTER_PARTS:
            with board.part(f"cluster {command}"):
                cluster.run_part(command)
        return asyncio.run(_run(options, console, board, cluster.addresses()))
    except CommandError as trouble:
        console.print(f"✗ {trouble}", style="bold red")
        return 1
    except KeyboardInterrupt:
        console.print("stopped; the cluster still runs, and `make cluster-down` ends it")
        return 130


async def _run(options: argparse.Namespace, console: Console, board: Board, addresses: Addresses) -> int:
    kubectl, manifest = Kubectl(addresses), example.read()
    chaos = Chaos(kubectl, options.seed, board.notice) if options.chaos else None
    story = Story(board, kubectl, models.Aliases(addresses.mlflow), manifest, chaos)
    stream = Stream(addresses.gateway, manifest.host, rate=options.rate)
    times: list[tuple[str, str]] = []
    try:
        with board.part("models"):
            await story.clear()
            versions = await models.train(kubectl)
        _print_models(board, versions)
        if chaos is not None:
            board.notice(f"chaos: seed {options.seed}")
            await chaos.prepare()
        async with AsyncExitStack() as running:
            await running.enter_async_context(screen.watched(board, kubectl, manifest))
            await running.enter_async_context(screen.drawn(console, board, stream))
            with board.part("first version"):
                seconds = await story.serve_first(versions, addresses.gateway)
            times.append(("from kubectl apply to the first prediction", f"{seconds:.1f}"))
            await running.enter_async_context(stream)
            with board.part("good run"):
                await story.good_run(versions, stream)
            with board.part("bad run"):
                await story.bad_run(versions, stream)
        await story.look_back(versions, stream)
    except (CommandError, NotReachedError) as trouble:
        story.promises.append(promises.Promise("the demo came to its end", False, str(trouble)))
    story.promises.append(promises.none_failed(stream.requests))
    totals = tally.totals(stream.requests)
    console.print(summary.render(totals, board.changes, board.parts, times, story.promises, board.now))
    return 0 if all(promise.kept for promise in story.promises) else 1


def _print_models(board: Board, versions: Versions) -> None:
    for role, version in (("first", versions.first), ("better", versions.better), ("bad", versions.bad)):
        board.print_line(f"{role}: {version.uri}, {version.correct} of {version.total} of the hold-out right")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dev.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=50.0, help="predictions per second (default: %(default)s)")
    parser.add_argument(
        "--chaos",
        action="store_true",
        default=os.environ.get("CHAOS", "0") not in {"", "0"},
        help="kill the operator with SIGKILL at random times in both runs (also CHAOS=1)",
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="seed of the kills (printed)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
