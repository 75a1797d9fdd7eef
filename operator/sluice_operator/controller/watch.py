"""kopf is used only as a watcher: each event of an object wakes it.

Its change handlers, timers, daemons and indexes are not used, because they write annotations and finalizers. An event
only says that something changed: the state itself is read again. What ModelDeployments own is watched by
`kubernetes/reflector.py`, because kopf does not tell which objects have gone while it was cut off.
"""

from collections.abc import Callable
from typing import Any, cast

import aiohttp
import kopf

from sluice_operator.api import names
from sluice_operator.api.owner import Key, Manifest
from sluice_operator.api.run import Phase
from sluice_operator.controller.observation.host_claims import HostClaims
from sluice_operator.controller.scheduling.first_looks import FirstLooks
from sluice_operator.controller.scheduling.lanes import Lanes
from sluice_operator.kubernetes.bounded_response import BoundedResponse
from sluice_operator.kubernetes.cache import Cache

_REOPENED = 40  # seconds, after which the watch is opened anew: a connection that died silently is deaf no longer


class _NoDiffs(kopf.DiffBaseStorage):
    """Compares nothing: what kopf would copy and compare of each event is for change handlers, and there are none."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return cast(kopf.BodyEssence, {})

    def fetch(self, **_: Any) -> None:
        """Nothing was stored."""

    def store(self, **_: Any) -> None:
        """Nothing is."""


def registry(
    wake: Callable[[Key], None],
    first_looks: FirstLooks,
    hosts: HostClaims,
    lanes: Lanes,
    cache: Cache,
    is_own: Callable[[Key, str], bool] = lambda *_: False,
) -> kopf.OperatorRegistry:
    """Handlers that wake the ModelDeployment of an event, and report what it asks for and does.

    One that is in a list for the first time waits for its turn. One that is listed again, because the API server has
    forgotten what had changed, is woken if it has another version.

    `is_own`: whether the operator itself has written this version of an object, and has nothing to do about it.
    """
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**kwargs: Any) -> kopf.AiohttpSession | None:
        found = kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
        return None if found is None else _session(found)

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=handlers)
    async def model_deployment(event: kopf.RawEvent, namespace: str | None, name: str | None, **_: Any) -> None:
        key, body = (namespace or "", name or ""), cast(Manifest, dict(event["object"]))
        if event["type"] == "DELETED":
            hosts.forget(*key)
            cache.forget(key)
            wake(key)
            return
        known, version = cache.version(key), body["metadata"]["resourceVersion"]
        for other in hosts.see(body):  # whoever loses its host by this is to give it up now
            wake(other)
        cache.see(body)
        lanes.see(key, body.get("status", {}).get("phase", Phase.PENDING))
        if event["type"] is None and not known:
            first_looks.add(key)
        elif (event["type"] is not None or known != version) and not is_own(key, version):
            wake(key)

    return handlers


def _session(found: kopf.ConnectionInfo) -> kopf.AiohttpSession:
    """As kopf makes it itself, with answers that are bounded."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=found.as_ssl_context()),
        headers=found.as_http_headers(),
        proxy=found.proxy_url,
        trust_env=found.trust_env,
        response_class=BoundedResponse,
    )
    return kopf.AiohttpSession(
        server=found.server,
        priority=found.priority,
        default_namespace=found.default_namespace,
        expiration=found.expiration,
        aiohttp_session=session,
    )


def settings() -> kopf.OperatorSettings:
    """A watcher that scans no API groups and posts no events. It reconnects soon, so that no event is late for long."""
    kopf_settings = kopf.OperatorSettings()
    kopf_settings.persistence.diffbase_storage = _NoDiffs()
    kopf_settings.scanning.disabled = True
    kopf_settings.peering.standalone = True
    kopf_settings.posting.enabled = False
    kopf_settings.watching.server_timeout = _REOPENED
    kopf_settings.watching.client_timeout = _REOPENED + 5
    kopf_settings.watching.connect_timeout = 10
    kopf_settings.watching.reconnect_backoff = 1.0
    kopf_settings.watching.chunk_size = 25  # objects of a part of a list: the largest ones have 1.5 MB
    kopf_settings.queueing.idle_timeout = 0.1  # it keeps an object for as long: after a start, all that there are
    kopf_settings.networking.connect_timeout = 10
    kopf_settings.networking.request_timeout = 30
    kopf_settings.process.ultimate_exiting_timeout = 60
    return kopf_settings
