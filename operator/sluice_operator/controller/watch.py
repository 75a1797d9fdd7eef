"""kopf is used only as a watcher: each event of an object puts a key on the work queue.

Its change handlers, timers, daemons and indexes are not used, because they write annotations and finalizers. An event
only says that something changed: the state itself is read again.
"""

from typing import Any

import kopf

from sluice_operator.api import names
from sluice_operator.api.status import Phase
from sluice_operator.controller.host_claims import HostClaims
from sluice_operator.controller.lanes import Lanes
from sluice_operator.controller.workqueue import WorkQueue


def registry(queue: WorkQueue, hosts: HostClaims, lanes: Lanes) -> kopf.OperatorRegistry:
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
        else:
            hosts.see(dict(event["object"]))
            lanes.see(key, event["object"].get("status", {}).get("phase", Phase.PENDING))
        queue.add(key)

    @kopf.on.event("apps", "v1", "deployments", labels={names.LABEL_OWNER: kopf.PRESENT}, registry=handlers)
    async def owned_deployment(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        queue.add((namespace or "", labels[names.LABEL_OWNER]))

    return handlers


def settings() -> kopf.OperatorSettings:
    """A watcher that scans no API groups and posts no events. It reconnects soon, so that no event is late for long."""
    kopf_settings = kopf.OperatorSettings()
    kopf_settings.scanning.disabled = True
    kopf_settings.peering.standalone = True
    kopf_settings.posting.enabled = False
    kopf_settings.watching.label_selectors["apps", "v1", "deployments"] = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY}"
    kopf_settings.watching.server_timeout = 300
    kopf_settings.watching.client_timeout = 330
    kopf_settings.watching.connect_timeout = 10
    kopf_settings.watching.reconnect_backoff = 1.0
    kopf_settings.watching.chunk_size = 500
    kopf_settings.networking.connect_timeout = 10
    kopf_settings.networking.request_timeout = 30
    kopf_settings.process.ultimate_exiting_timeout = 60
    return kopf_settings
