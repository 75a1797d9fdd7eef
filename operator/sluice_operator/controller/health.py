"""`/healthz`: does this process do its work, or must it be started again? `/readyz`: does it lead, or stand by?"""

from collections.abc import Callable, Sequence

from aiohttp import web

from sluice_operator.telemetry.endpoint import listen

Check = Callable[[], str]  # what is wrong, as a sentence; empty if nothing is


async def serve(
    checks: Sequence[Check],
    role: Callable[[], str],
    port: int,
    host: str = "0.0.0.0",  # noqa: S104
    *,
    hindrance: Check = lambda: "",
) -> None:
    """Answer until this is cancelled. `role`: what the process does; empty until that is known.

    A check that raises makes the process unhealthy, too. `hindrance`: what keeps it from its work that another start
    would not mend; the process is not ready then. Raises OSError if the port is taken.
    """
    await listen(_application(checks, role, hindrance), port, host)


def _application(checks: Sequence[Check], role: Callable[[], str], hindrance: Check) -> web.Application:
    async def healthz(_: web.Request) -> web.Response:
        troubles = [trouble for check in checks if (trouble := check())]
        return web.Response(status=503 if troubles else 200, text="\n".join(troubles) or "ok")

    async def readyz(_: web.Request) -> web.Response:
        known, hindered = role(), hindrance()
        says = "\n".join(filter(None, (known or "the API server has not answered yet", hindered)))
        return web.Response(status=200 if known and not hindered else 503, text=says)

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    return application
