"""A host over TLS only: callers and probes are sent from http to https, and the certificate is verified."""

import base64
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dev.demo import promises
from dev.demo.models import Versions
from dev.demo.traffic import Stream
from tests.e2e.kills import Operator
from tests.e2e.rollouts import NAMESPACE, Manifest, Place, deployed, manifest
from tests.unit.sluice_operator.certificates import Authority

pytestmark = pytest.mark.anyio

NAME = "iris-tls"
HOST = f"{NAME}.example.com"
OPERATORS = "sluice-system"
CERTIFICATE, AUTHORITY = "iris-tls", "gateway-ca"


def secret(namespace: str, name: str, files: dict[str, Path], kind: str = "Opaque") -> Manifest:
    data = {key: base64.b64encode(file.read_bytes()).decode() for key, file in files.items()}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": data}


def trusting() -> Manifest:
    """A patch of the operator: it trusts the authority of the gateway's certificate."""
    container = {
        "name": "operator",
        "env": [{"name": "SLUICE_GATEWAY_CA", "value": "/etc/gateway-ca/ca.crt"}],
        "volumeMounts": [{"name": "gateway-ca", "mountPath": "/etc/gateway-ca", "readOnly": True}],
    }
    volume = {"name": "gateway-ca", "secret": {"secretName": AUTHORITY}}
    return {"spec": {"template": {"spec": {"containers": [container], "volumes": [volume]}}}}


@pytest.fixture(scope="module")
async def trusted(
    place: Place, operator: Operator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ssl.SSLContext]:
    """The gateway has a certificate for the host, which the operator and the context trust."""
    authority = Authority.made(tmp_path_factory.mktemp("tls") / "authority")
    certificate, key = authority.pair("host", f"DNS:{HOST}")
    pair = {"tls.crt": certificate, "tls.key": key}
    await place.kubectl.apply(secret(NAMESPACE, CERTIFICATE, pair, "kubernetes.io/tls"))
    await place.kubectl.apply(secret(OPERATORS, AUTHORITY, {"ca.crt": authority.certificate}))
    deployment = ("-n", OPERATORS, "deployment/sluice-operator")
    await place.kubectl.text("patch", *deployment, "-p", json.dumps(trusting()))
    try:
        await operator.available()
        yield ssl.create_default_context(cafile=authority.certificate)
    finally:
        await place.kubectl.text("rollout", "undo", *deployment)
        await operator.available()
        await place.kubectl.text("-n", OPERATORS, "delete", "secret", AUTHORITY)
        await place.kubectl.text("-n", NAMESPACE, "delete", "secret", CERTIFICATE)


async def https_address(place: Place) -> str:
    """The gateway's port for TLS, on the address that its port for http has."""
    port = '{.spec.ports[?(@.name=="websecure")].nodePort}'
    found = await place.kubectl.text("-n", "traefik", "get", "service", "traefik", "-o", f"jsonpath={port}")
    return f"https://{urlsplit(place.gateway).hostname}:{found}"


async def test_a_rollout_over_tls(trusted: ssl.SSLContext, place: Place, versions: Versions) -> None:
    """Each weight is proven over TLS, a good version is promoted, and no request fails."""
    document = manifest(NAME)
    document["spec"]["traffic"]["ingress"]["tls"] = {"secretName": CERTIFICATE}
    async with deployed(place, document, versions.first) as iris:
        await iris.until_ready()
        address = await https_address(place)
        async with Stream(address, HOST, rate=50.0, max_requests=20_000, max_seconds=300.0, tls=trusted) as stream:
            await iris.follow(versions.better)
            end = await iris.until_ended(versions.better, runs=2)
    assert [entry.outcome for entry in end.history] == ["Promoted", "Promoted"], end.history
    assert end.url == f"https://{HOST}/"
    assert {request.revision for request in stream.requests} == {entry.revision for entry in end.history}
    none_failed = promises.none_failed(stream.requests)
    assert none_failed.kept, none_failed.found
