"""`python -m sluice_operator.installation.split HOST GATEWAY`: whether the gateway divides requests as routes say.

`kubectl sluice doctor` has made two Ingresses or an HTTPRoute for the host: stable leads to the operator's metrics, and
the canary, with half of the requests and all that have the header, leads to a port that has no metrics. So an answer
with status 200 is from stable.
"""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from sluice_operator import settings as environment
from sluice_operator.api.place import Place
from sluice_operator.http_client import Http
from sluice_operator.installation.outcome import Line
from sluice_operator.routing.gateway import Access, Gateway, GatewayError

HEADER, WEIGHT = "x-sluice-doctor", 50  # of the canary
_REQUESTS = 40  # without the header: that all go the same way by chance has a probability of 2 to the power of -39
_WITHIN = 20.0  # seconds until the gateway obeys the routes
Ask = Callable[[str], Awaitable[int]]  # the status of a request with this value of the header; without it, if empty


async def verdict(ask: Ask, now: Callable[[], float] = time.monotonic) -> tuple[bool, str]:
    """Whether all is well, and the sentence."""
    until = now() + _WITHIN
    while True:
        always, never = await ask("always"), await ask("never")
        if never == 200 and always != 200:
            break
        if now() > until:
            return False, _unsplit(always, never)
        await asyncio.sleep(0.5)
    statuses = [await ask("") for _ in range(_REQUESTS)]
    stable = statuses.count(200)
    if 0 < stable < _REQUESTS:
        canary = f"{_REQUESTS - stable} of {_REQUESTS} at {WEIGHT} %"
        return True, f"the gateway divides requests by header and by weight ({canary})"
    where = "stable" if stable else "the canary"
    return False, f"the gateway obeys the header and not the weight: all requests went to {where}. {_USE}"


_USE = (
    "Use a controller that obeys the nginx.ingress.kubernetes.io/canary annotations (ingress-nginx, or Traefik with"
    " its provider for them), or a gateway of the Gateway API (--gateway)"
)


def _unsplit(always: int, never: int) -> str:
    if never == 200:
        return f"the gateway ignores the canary: a request with its header went to stable. {_USE}"
    if never in (502, 503, 504):
        return f"the gateway answers {never}: it does not reach the operator's pods. Does a NetworkPolicy forbid it?"
    return (
        f"the gateway answers {never} for a new route: does the one of that class or name listen at gateway.address,"
        " and does a Gateway admit routes of this namespace (allowedRoutes of its listeners)?"
    )


async def _ask(gateway: Gateway, client: Http, value: str) -> int:
    reply = await gateway.get(client, "/metrics", {HEADER: value} if value else {})
    return reply.status


async def _run(host: str, name: str) -> tuple[bool, str]:
    settings = environment.read(os.environ)
    address = settings.gateway_addresses.get(name, settings.gateway_address)
    gateway = Gateway(Access(address, settings.gateway_headers, settings.gateway_ca), Place(host))
    async with gateway.client() as client:
        try:
            is_well, text = await verdict(lambda value: _ask(gateway, client, value))
        except GatewayError as error:
            return False, str(error)
    return is_well, text.replace("the gateway", f"the gateway {name}", 1)


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 1 if something is not well."""
    is_well, text = asyncio.run(_run(*arguments))
    print(Line(is_well, text))
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
