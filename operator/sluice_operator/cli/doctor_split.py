"""Routes for a moment, with which a pod of the operator tries whether the gateway divides requests."""

import contextlib
import secrets
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.api.traffic import HttpRoute, ParentRef
from sluice_operator.cli import cluster, doctor_pod
from sluice_operator.cli.cluster import CommandError
from sluice_operator.installation.outcome import FAIL
from sluice_operator.installation.split import HEADER, WEIGHT
from sluice_operator.routing import http_route, route_status

_NAME, _CANARY = "sluice-doctor", "nginx.ingress.kubernetes.io/canary"
_TRY = ("python", "-m", "sluice_operator.installation.split")
_RESOURCES = {
    "Service": "services",
    "Ingress": "ingresses.networking.k8s.io",
    "HTTPRoute": "httproutes.gateway.networking.k8s.io",
}
_WITHOUT = "ask as somebody who may, or leave this out with --no-split"
Routes = Callable[[str, str, str], list[Manifest]]  # those for a namespace, with the name of stable, and a host


def tried(deployment: dict[str, Any], gateway: str, routes: Routes) -> list[str]:
    """What the pod says. The objects are removed, whatever happens, and what cannot be removed is named.

    Their names are those of no other object, and of no other person who asks at the same time. `gateway`: its name in
    the settings, where it may have an address of its own.
    """
    namespace, own = deployment["metadata"]["namespace"], secrets.token_hex(8)
    name, host = f"{_NAME}-{own}", f"{own}.{_NAME}.invalid"
    objects = [
        *_services(namespace, name, deployment["spec"]["selector"]["matchLabels"]),
        *routes(namespace, name, host),
    ]
    if lacking := _lacking(objects, namespace):
        return [f"{FAIL}  the gateway is not tried: you may not {lacking[0]} in namespace {namespace}; {_WITHOUT}"]
    lines: list[str] = []
    with _ending_by_exception():
        try:
            cluster.create(objects)
            lines += doctor_pod.says(deployment, *_TRY, host, gateway)
            if any(line.startswith(FAIL) for line in lines):
                lines += _refusals(objects, namespace)
        except CommandError as error:
            lines.append(f"{FAIL}  the gateway cannot be tried: {error}")
        finally:
            lines += _removed(objects, namespace)
    return lines


@contextlib.contextmanager
def _ending_by_exception() -> Iterator[None]:
    """Inside, a SIGTERM, such as that of `timeout`, ends the process by way of each `finally`."""

    def end(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _refusals(objects: list[Manifest], namespace: str) -> Iterator[str]:
    """What the Gateway itself says against our HTTPRoute: it may admit the namespaces of models, and not this one."""
    now, long_ago = datetime.now(UTC), datetime.min.replace(tzinfo=UTC)
    for name in (each["metadata"]["name"] for each in objects if each["kind"] == names.HTTP_ROUTE):
        if (live := cluster.maybe(_RESOURCES[names.HTTP_ROUTE], name, namespace)) is None:
            continue
        parents = tuple(ParentRef(each["name"], each.get("namespace", "")) for each in live["spec"]["parentRefs"])
        if (refusal := route_status.refusal(live, HttpRoute(parents, ""), long_ago, now)) is not None:
            yield f"{FAIL}  {refusal.message}"


def _lacking(objects: list[Manifest], namespace: str) -> list[str]:
    resources = dict.fromkeys(_RESOURCES[each["kind"]] for each in objects)
    asked = [(verb, resource) for resource in resources for verb in ("create", "delete")]
    return [f"{verb} {resource}" for verb, resource in asked if not cluster.may(verb, resource, namespace)]


def _removed(objects: list[Manifest], namespace: str) -> list[str]:
    try:
        cluster.remove(objects)
    except CommandError as error:
        left = " ".join(f"{each['kind'].lower()}/{each['metadata']['name']}" for each in objects)
        return [f"{FAIL}  {error}. Remove what is left: kubectl delete -n {namespace} --ignore-not-found {left}"]
    return []


def ingresses(ingress_class: str) -> Routes:
    """Two, of which one is the canary of the other."""
    annotations = {_CANARY: "true", f"{_CANARY}-weight": str(WEIGHT), f"{_CANARY}-by-header": HEADER}

    def routes(namespace: str, name: str, host: str) -> list[Manifest]:
        return [
            _ingress(namespace, name, host, ingress_class, {}),
            _ingress(namespace, f"{name}-canary", host, ingress_class, annotations),
        ]

    return routes


def http_routes(gateway: ParentRef) -> Routes:
    """One, which has the rules of a canary as the operator writes them."""

    def routes(namespace: str, name: str, host: str) -> list[Manifest]:
        split = http_route.Split(f"{name}-canary", WEIGHT, HEADER)
        metadata = {"name": name, "namespace": namespace}
        return [http_route.manifest(metadata, [gateway], host, http_route.rules("/", name, split))]

    return routes


def _services(namespace: str, name: str, operator: dict[str, str]) -> list[Manifest]:
    """Stable leads to the metrics of the operator, and the canary to another port of it, which has none.

    The canary must have pods: a gateway may leave out a Service without them.
    """
    return [
        _service(namespace, name, operator, "metrics"),
        _service(namespace, f"{name}-canary", operator, "health"),
    ]


def _service(namespace: str, name: str, selector: dict[str, str], port: str) -> Manifest:
    ports = [{"name": "gateway", "port": names.PORT_GATEWAY, "targetPort": port}]
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": selector, "ports": ports}}


def _ingress(namespace: str, name: str, host: str, ingress_class: str, annotations: dict[str, str]) -> Manifest:
    backend = {"service": {"name": name, "port": {"name": "gateway"}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "spec": {"ingressClassName": ingress_class, "rules": [rule]},
    }
