"""kopf is used only as a watcher: each event of an object puts a key on the work queue.

Its change handlers, timers, daemons and indexes are not used, because they write annotations and finalizers. An event
only says that something changed: the state itself is read again. What ModelDeployments own is watched by
`kubernetes/reflector.py`, because kopf does not tell which objects have gone while it was cut off.
"""

from typing import Any

import kopf

from sluice_operator.api import names
from sluice_operator.api.status import Phase
from sluice_operator.controller.host_claims import HostClaims
from sluice_operator.controller.lanes import Lanes
from sluice_operator.controller.workqueue import WorkQueue
from sluice_operator.kubernetes.cache import Cache

_REOPENED = 40  # seconds, after which the watch is opened anew: a connection that died silently is deaf no longer


def registry(queue: WorkQueue, hosts: HostClaims, lanes: Lanes, cache: Cache) -> kopf.OperatorRegistry:
    """Handlers that put the ModelDeployment of an event on `queue`, and report what it asks for and does."""
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=handlers)
    async def model_deployment(event: kopf.RawEvent, namespace: str | None, name: str | None, **_: Any) -> None:
        key = namespace or "", name or ""
        if event["type"] == "DELETED":
            hosts.forget(*key)
            cache.forget(key)
        else:
            hosts.see(dict(event["object"]))
            cache.see(dict(event["object"]))
            lanes.see(key, event["object"].get("status", {}).get("phase", Phase.PENDING))
        queue.add(key)

    return handlers


def settings() -> kopf.OperatorSettings:
    """A watcher that scans no API groups and posts no events. It reconnects soon, so that no event is late for long."""
    kopf_settings = kopf.OperatorSettings()
    kopf_settings.scanning.disabled = True
    kopf_settings.peering.standalone = True
    kopf_settings.posting.enabled = False
    kopf_settings.watching.server_timeout = _REOPENED
    kopf_settings.watching.client_timeout = _REOPENED + 5
    kopf_settings.watching.connect_timeout = 10
    kopf_settings.watching.reconnect_backoff = 1.0
    kopf_settings.watching.chunk_size = 500
    kopf_settings.networking.connect_timeout = 10
    kopf_settings.networking.request_timeout = 30
    kopf_settings.process.ultimate_exiting_timeout = 60
    return kopf_settings
