"""kopf as the watcher, and as nothing else: events of objects become keys on the work queue.

No change handlers, timers, daemons or indexes: they write annotations and finalizers, and an event is only a hint.
"""

from typing import Any

import kopf

from sluice_operator.api import names
from sluice_operator.controller.host_claims import HostClaims
from sluice_operator.controller.workqueue import WorkQueue


def registry(queue: WorkQueue, hosts: HostClaims) -> kopf.OperatorRegistry:
    """Handlers that put the touched ModelDeployment on `queue`, and tell `hosts` which host it asks for."""
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
        queue.add(key)

    @kopf.on.event("apps", "v1", "deployments", labels={names.LABEL_OWNER: kopf.PRESENT}, registry=handlers)
    async def owned_deployment(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        queue.add((namespace or "", labels[names.LABEL_OWNER]))

    return handlers


def settings() -> kopf.OperatorSettings:
    """A watcher that scans nothing, posts nothing, and does not stay deaf for long."""
    chosen = kopf.OperatorSettings()
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    chosen.watching.label_selectors["apps", "v1", "deployments"] = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY}"
    chosen.watching.server_timeout = 300
    chosen.watching.client_timeout = 330
    chosen.watching.connect_timeout = 10
    chosen.watching.reconnect_backoff = 1.0
    chosen.watching.chunk_size = 500
    chosen.networking.connect_timeout = 10
    chosen.networking.request_timeout = 30
    chosen.process.ultimate_exiting_timeout = 60
    return chosen
