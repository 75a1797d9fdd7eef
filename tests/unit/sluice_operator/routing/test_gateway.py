"""How probes reach a gateway: TLS with the host as SNI, redirects to https, timeouts; real sockets on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from sluice_operator.api.observation import Proof
from sluice_operator.api.place import Place
from sluice_operator.api.traffic import HttpRoute, Ingress, ParentRef, Traffic
from sluice_operator.routing import probes
from sluice_operator.routing.gateway import Access, Gateway
from tests.unit.sluice_operator.certificates import Authority
from tests.unit.sluice_operator.routing.gateways import HOST, Asked, Reply, serving


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("tls") / "authority")


def certificate(authority: Authority, host: str = HOST) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.pair(host, f"DNS:{host}"))
    return context


def stable(_: Asked) -> Reply:
    return Reply(revision="stable")


def finish(work: Coroutine[Any, Any, Proof]) -> Proof:
    return asyncio.run(asyncio.wait_for(work, 30))


def role(access: Access) -> Coroutine[Any, Any, Proof]:
    return probes.role(Gateway(access, Place(HOST)), "stable")


def test_a_gateway_is_asked_over_tls_with_the_host_as_its_name(authority: Authority) -> None:
    """Its certificate is that of the host, and the address is only where the connection goes."""

    async def story() -> Proof:
        async with serving(stable, certificate(authority)) as gateway:
            proof = await role(Access(gateway.https, {"X-Team": "ml"}, str(authority.certificate)))
        assert {(asked.server_name, asked.headers["host"]) for asked in gateway.asked} == {(HOST, HOST)}
        assert {(asked.headers["x-team"], asked.headers["x-sluice-probe"]) for asked in gateway.asked} == {("ml", "1")}
        return proof

    assert finish(story()) == Proof(True)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_gateway_that_sends_http_to_https_is_followed_there(authority: Authority, status: int) -> None:
    """On the same host, at the address that the operator knows; its http port proves nothing about callers."""

    async def story() -> Proof:
        async with serving(stable, certificate(authority)) as secure:
            location = {"Location": f"https://{HOST}:{secure.port}/metadata"}
            async with serving(lambda _: Reply(status, headers=location)) as plain:
                proof = await role(Access(plain.http, authority=str(authority.certificate), tls_port=secure.port))
        assert {asked.server_name for asked in secure.asked} == {HOST}
        return proof

    assert finish(story()) == Proof(True)


def test_the_smoke_request_follows_to_https_too(authority: Authority) -> None:
    """With its body: a redirected POST stays a POST."""

    def canary(asked: Asked) -> Reply:
        field = "input_example" if asked.method == "GET" else "predictions"
        return Reply(revision="canary", body=f'{{"{field}": [1]}}')

    async def story() -> Proof:
        async with serving(canary, certificate(authority)) as secure:

            def redirect(asked: Asked) -> Reply:
                return Reply(308, headers={"Location": f"https://{HOST}:{secure.port}{asked.path}"})

            async with serving(redirect) as plain:
                access = Access(plain.http, authority=str(authority.certificate), tls_port=secure.port)
                gateway = Gateway(access, Place(HOST))
                proof = await probes.smoke(gateway, "x-route", "canary")
        assert [(asked.method, asked.path) for asked in secure.asked] == [("GET", "/metadata"), ("POST", "/predict")]
        return proof

    assert finish(story()) == Proof(True)


def test_below_a_path_all_requests_are_below_it(authority: Authority) -> None:
    """Also where a redirect to https is followed; what is said names the host and the path."""

    async def story() -> Proof:
        async with serving(stable, certificate(authority)) as secure:

            def redirect(asked: Asked) -> Reply:
                return Reply(308, headers={"Location": f"https://{HOST}:{secure.port}{asked.path}"})

            async with serving(redirect) as plain:
                access = Access(plain.http, authority=str(authority.certificate), tls_port=secure.port)
                proof = await probes.role(Gateway(access, Place(HOST, "/a/b")), "other")
        assert {asked.path for asked in (*plain.asked, *secure.asked)} == {"/a/b/metadata"}
        assert {asked.headers["host"] for asked in secure.asked} == {HOST}
        return proof

    assert f"for {HOST}/a/b went elsewhere" in finish(story()).detail


def test_a_gateway_that_does_not_take_the_path_off_proves_nothing() -> None:
    """The right revision answers, and all that callers get is 404."""

    def as_it_is(asked: Asked) -> Reply:
        return Reply(404 if asked.path.startswith("/a/b/") else 200, revision="stable")

    async def story(path: str) -> Proof:
        async with serving(as_it_is) as gateway:
            return await probes.role(Gateway(Access(gateway.http), Place(HOST, path)), "stable")

    assert finish(story("/")) == Proof(True)
    proof = finish(story("/a/b"))
    assert not proof.live
    assert "a model server that got /a/b/metadata as it is: the gateway must take the path off" in proof.detail


@pytest.mark.parametrize(
    "location", ["https://login.example.com/?token=secret", "http://iris.example.com/other", "/elsewhere"]
)
def test_no_other_redirect_is_followed(location: str) -> None:
    """A login page is not the model; the sentence says where the gateway leads to."""

    async def story() -> Proof:
        async with serving(lambda _: Reply(302, headers={"Location": location})) as gateway:
            return await role(Access(gateway.http))

    proof = finish(story())
    assert not proof.live
    assert f"no model server (status 302, a redirect to {location.partition('?')[0]})" in proof.detail
    assert "secret" not in proof.detail


def test_a_certificate_of_an_unknown_authority_names_the_setting(authority: Authority) -> None:
    """Verification cannot be switched off."""

    async def story() -> Proof:
        async with serving(stable, certificate(authority)) as gateway:
            return await role(Access(gateway.https))

    proof = finish(story())
    assert not proof.live
    assert "set SLUICE_GATEWAY_CA to the certificates of its authority" in proof.detail


def test_a_certificate_of_another_host_is_told(authority: Authority) -> None:
    """The gateway has none for this host, and callers would see the same."""

    async def story() -> Proof:
        async with serving(stable, certificate(authority, "other.example.com")) as gateway:
            return await role(Access(gateway.https, authority=str(authority.certificate)))

    assert f"give the gateway a certificate for {HOST}" in finish(story()).detail


def test_a_file_without_certificates_is_told(tmp_path: Path) -> None:
    """Nothing is asked, and nothing is raised."""
    (tmp_path / "ca.crt").write_text("nothing")
    access = Access("https://127.0.0.1:9", authority=str(tmp_path / "ca.crt"))
    assert f"SLUICE_GATEWAY_CA: {access.authority} holds no certificates" in finish(role(access)).detail


def test_a_redirect_to_a_port_that_does_not_answer_says_what_to_set() -> None:
    """Such as a port that only the load balancer in front of the gateway has."""

    async def story() -> Proof:
        async with serving(stable) as closed:
            pass
        async with serving(lambda _: Reply(308, headers={"Location": f"https://{HOST}:{closed.port}/"})) as gateway:
            return await role(Access(gateway.http, tls_port=closed.port))

    assert "set SLUICE_GATEWAY_ADDRESS to the https address of the gateway, with its port" in finish(story()).detail


def test_a_redirect_to_any_other_port_is_not_followed(authority: Authority) -> None:
    """A pod can answer with one, and would choose where in the cluster the operator's headers go."""

    async def story() -> Proof:
        async with serving(stable, certificate(authority)) as elsewhere:
            location = {"Location": f"https://{HOST}:{elsewhere.port}/metadata"}
            async with serving(lambda _: Reply(308, headers=location)) as gateway:
                proof = await role(Access(gateway.http, authority=str(authority.certificate)))
        assert not elsewhere.asked
        assert (
            f"sends {HOST} to port {elsewhere.port}, and only port 443 is followed: set SLUICE_GATEWAY_" in proof.detail
        )
        return proof

    assert not finish(story()).live


@pytest.mark.parametrize("location", [f"https://{HOST}:99999/", "https://[", "https://:x", "//\x1b]0;x"])
def test_a_location_that_is_no_address_is_told(location: str) -> None:
    """It raises nothing, and what is shown of it steers no terminal."""

    async def story() -> Proof:
        async with serving(lambda _: Reply(302, headers={"Location": location})) as gateway:
            return await role(Access(gateway.http))

    proof = finish(story())
    assert not proof.live
    assert proof.detail.isprintable()


def test_an_answer_that_is_too_slow_for_a_probe_names_the_setting() -> None:
    """The connection stands, so the gateway is there."""

    async def story() -> Proof:
        async with serving(lambda _: Reply(silent=True)) as gateway:
            return await role(Access(gateway.http, probe_timeout=0.2))

    assert "within 0.2 s (SLUICE_PROBE_TIMEOUT)" in finish(story()).detail


def test_a_slow_model_has_longer_than_a_probe_and_is_told_as_slow() -> None:
    """The probe was answered by the canary, so a prediction that does not come is the model's."""

    def slow(asked: Asked) -> Reply:
        return Reply(revision="canary", body='{"input_example": {}}', silent=asked.method == "POST")

    async def story() -> Proof:
        async with serving(slow) as gateway:
            access = Access(gateway.http, probe_timeout=20.0, smoke_timeout=0.2)
            return await probes.smoke(Gateway(access, Place(HOST)), "x-route", "canary")

    proof = finish(story())
    assert (proof.live, proof.by_canary) == (False, True)
    assert "no answer to /predict" in proof.detail
    assert "within 0.2 s (SLUICE_SMOKE_TIMEOUT)" in proof.detail


@pytest.mark.parametrize(
    ("traffic", "address"),
    [
        (Traffic(Ingress("nginx", HOST)), "http://first"),
        (Traffic(Ingress("internal", HOST)), "http://internal"),
        (Traffic(http_route=HttpRoute((ParentRef("public"),), HOST)), "http://public"),
        (Traffic(http_route=HttpRoute((ParentRef("other"), ParentRef("public", "models")), HOST)), "http://public"),
        (Traffic(http_route=HttpRoute((ParentRef("public", "elsewhere"),), HOST)), "http://first"),
    ],
)
def test_a_gateway_may_have_an_address_of_its_own(traffic: Traffic, address: str) -> None:
    """By its IngressClass, or by the namespace and the name of the Gateway. All others are at the first address."""
    own = {"internal": "http://internal", "models/public": "http://public"}
    assert Access("http://first", addresses=own).of(traffic.gateways("models")).address == address
