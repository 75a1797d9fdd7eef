"""The process of the web page: `python -m sluice_operator.web`."""

import argparse
import asyncio
import logging
import signal
import ssl
import sys
from contextlib import suppress
from datetime import UTC, datetime

from sluice_operator import logs
from sluice_operator.api import urls
from sluice_operator.http_client import HttpClient
from sluice_operator.telemetry import endpoint
from sluice_operator.web.cluster import Cluster
from sluice_operator.web.reports import Reports
from sluice_operator.web.server import application
from sluice_operator.web.site import Site

_CONNECTIONS = 64  # to the API server, at a time


def main() -> int:
    """Returns the exit code: 2 for options that cannot be used."""
    options = _options()
    logs.configure("info")
    try:
        url = urls.plain(options.api_server).rstrip("/")
        trust = ssl.create_default_context(cafile=options.ca) if options.ca else None
    except (ValueError, OSError) as error:
        print(f"--api-server, --ca: {error}", file=sys.stderr)
        return 2
    with suppress(asyncio.CancelledError):
        asyncio.run(_serve(options, url, trust))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("sluice_operator.web", description="Shows rollouts on a page. It changes nothing.")
    parser.add_argument("--api-server", default="https://kubernetes.default.svc", metavar="URL")
    parser.add_argument(
        "--ca", metavar="FILE", help="authorities of the API server's certificate; default: the system's"
    )
    parser.add_argument("--namespace", action="append", default=[], help="that the first page shows; may be repeated")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen at")  # noqa: S104 - of a pod
    parser.add_argument("--port", type=int, default=8084)
    return parser.parse_args()


async def _serve(options: argparse.Namespace, url: str, trust: ssl.SSLContext | None) -> None:
    """Answer until this process is told to end."""
    serving = asyncio.current_task()
    assert serving is not None
    for told in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(told, serving.cancel)
    async with HttpClient("kubernetes", connections=_CONNECTIONS) as http:
        site = Site(Cluster(http, url, trust), Reports(), options.namespace, lambda: datetime.now(UTC))
        logging.getLogger(__name__).info("the page listens at port %d", options.port)
        await endpoint.listen(application(site), options.port, options.host)


if __name__ == "__main__":
    sys.exit(main())
