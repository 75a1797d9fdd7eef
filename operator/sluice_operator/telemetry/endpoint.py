"""Serves the metrics on a port of their own, so that a network policy can admit Prometheus to nothing else."""

import asyncio

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest


async def serve(registry: CollectorRegistry, port: int, host: str = "0.0.0.0") -> None:  # noqa: S104 - pods are scraped
    """Answer GET /metrics until this is cancelled. Raises OSError if the port is taken."""
    await listen(_application(registry), port, host)


async def listen(application: web.Application, port: int, host: str) -> None:
    """Serve `application` until this is cancelled. Raises OSError if the port is taken."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def _application(registry: CollectorRegistry) -> web.Application:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    application = web.Application()
    application.router.add_get("/metrics", metrics)
    return application
