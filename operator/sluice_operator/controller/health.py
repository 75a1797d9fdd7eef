"""`/healthz`: does this process do its work, or must it be started again? `/readyz`: does it lead, or stand by?"""

from collections.abc import Callable, Sequence

from aiohttp import web

from sluice_operator.telemetry.endpoint import listen

Check = Callable[[], str]  # what is wrong, as a sentence; empty if nothing is


async def serve(checks: Sequence[Check], role: Callable[[], str], port: int, host: str = "0.0.0.0") -> None:  # noqa: S104
    """Answer until this is cancelled. `role`: what the process does; empty until that is known.

    A check that raises makes the process unhealthy, too. Raises OSError if the port is taken.
    """
    await listen(_application(checks, role), port, host)


def _application(checks: Sequence[Check], role: Callable[[], str]) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        troubles = [trouble for check in checks if (trouble := check())]
        return web.Response(status=503 if troubles else 200, text="\n".join(troubles) or "ok")

    async def readyz(_: web.Request) -> web.Response:
        is_known = role()
        return web.Response(status=200 if is_known else 503, text=is_known or "the API server has not answered yet")

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    return application
