"""`python -m dev.demo.stream HOST`: sends predictions and labels to a ModelDeployment on the local cluster.

Every five seconds it prints which versions answered. It ends by itself, or with Ctrl-C.
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from dev.demo import cluster
from dev.demo.cluster import CLUSTER_SH
from dev.demo.tally import answered_by
from dev.demo.traffic import Stream

_LINE_SECONDS = 5.0


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.demo.stream", description=__doc__.splitlines()[0])
    parser.add_argument("host", help="spec.traffic.ingress.host of the ModelDeployment")
    parser.add_argument("--rate", type=float, default=50.0, help="predictions per second (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1200.0, help="how long (default: %(default)s)")
    options = parser.parse_args(argv)
    if subprocess.run([CLUSTER_SH, "status"], capture_output=True, check=False).returncode != 0:
        print("the local cluster does not run: start it with make demo, or make cluster-up", file=sys.stderr)
        return 1
    with suppress(KeyboardInterrupt):
        asyncio.run(_send(cluster.addresses().gateway, options.host, options.rate, options.seconds))
    return 0


async def _send(gateway: str, host: str, rate: float, seconds: float) -> None:
    limit = int(rate * seconds) + 1
    async with Stream(gateway, host, rate=rate, max_requests=limit, max_seconds=seconds) as stream:
        printed = 0.0
        while stream.now < seconds:
            await asyncio.sleep(_LINE_SECONDS)
            recent = [request for request in stream.requests if request.at >= printed]
            failed = sum(bool(request.failure) for request in recent)
            by_version = sorted(answered_by(recent, printed).items())
            versions = ", ".join(f"version {name}: {count}" for name, count in by_version)
            print(f"{stream.now:5.0f} s: {versions or 'no answer'}" + (f", failed: {failed}" if failed else ""))
            printed = stream.now


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
