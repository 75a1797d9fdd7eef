"""A real Prometheus with TLS and passwords: with credentials verdicts are as usual, without them an error says why."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from sluice_operator.api.spec import Prometheus
from sluice_operator.api.status import Verdict
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.counting.intervals import Intervals
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.renewal import from_folder
from sluice_operator.prometheus.servers import Servers
from tests.contract.conftest import PATIENCE
from tests.contract.prometheus_server import prometheus_in
from tests.contract.test_prometheus import BEGAN, SCRAPES, targets
from tests.unit.sluice_operator.certificates import Authority
from tests.unit.sluice_operator.fake_prometheus import (
    INTERVAL,
    FakePrometheus,
    a_run,
    evaluator_for,
    metrics_lost,
    serving,
    verdict_at,
)
from tests.unit.sluice_operator.fakes import FakeKube

BCRYPT = {  # hashes of passwords, in the form that Prometheus needs
    "right": "$2b$04$sluiceaaaaaaaaaaaaaaaOBUryJpaAemD01Pz8lPZW7Xz6jtbCL32",
    "renewed": "$2b$04$sluicebbbbbbbbbbbbbbbOIxQ31UGQwF.y0mBe3ejThNYvfhBpcQW",
}
NO_ANSWER = "Prometheus gave no answer: "
UNAUTHORIZED = f"{NO_ANSWER}HTTP 401, Unauthorized: are its credentials right?"
TIMING = Intervals(scrape=INTERVAL, evaluation=5)


@dataclass(frozen=True)
class Guarded:
    """A Prometheus with TLS. It reads its list of users again at each request."""

    url: str
    folder: Path
    authority: Authority

    def allow(self, password: str, client_certificate: bool = False) -> None:
        """Allow the user `sluice` with this password, and if asked for only with a certificate of our authority."""
        certificate, key = self.folder / "authority" / "server.crt", self.folder / "authority" / "server.key"
        tls = {"cert_file": str(certificate), "key_file": str(key)}
        if client_certificate:
            tls |= {"client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": str(self.authority.certificate)}
        new = self.folder / "web.yml.new"
        new.write_text(yaml.safe_dump({"tls_server_config": tls, "basic_auth_users": {"sluice": BCRYPT[password]}}))
        new.rename(self.folder / "web.yml")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A Prometheus that has stored the samples of a run."""
    folder = tmp_path_factory.mktemp("prometheus")
    authority = Authority.made(folder / "authority")
    authority.pair("server")
    prometheus = Guarded("", folder, authority)
    prometheus.allow("right")
    with targets({"pods": SCRAPES["pods"]}) as (address, stored):
        job = {"job_name": "pods", "metrics_path": "/pods", "static_configs": [{"targets": [address]}]}
        timing = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        configuration = {"global": timing, "scrape_configs": [job]}
        with prometheus_in(folder, configuration, "--web.config.file=web.yml") as url:
            assert stored["pods"].wait(PATIENCE), (folder / "prometheus.log").read_text()[-2000:]
            yield replace(prometheus, url=url.replace("http://", "https://"))


@pytest.fixture
def files(tmp_path: Path, guarded: Guarded) -> Path:
    """A folder with the right credentials."""
    guarded.allow("right")
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "ca.crt").write_bytes(guarded.authority.certificate.read_bytes())
    (folder / "username").write_text("sluice\n")
    (folder / "password").write_text("right\n")
    return folder


def verdict_from(evaluator: Evaluator, now: float, named: Prometheus | None = None) -> Verdict:
    """The verdict `now` seconds after a run that began at BEGAN."""
    return verdict_at(evaluator, BEGAN + now, a_run(BEGAN, prometheus=named))


def error_of(reader: Reader) -> str:
    with pytest.raises(MetricsLostError) as error:
        asyncio.run(reader.ahead())
    return str(error.value)


def test_with_the_right_credentials_there_is_a_verdict(guarded: Guarded, files: Path) -> None:
    """It has the same numbers as with a fake that needs no credentials."""
    evaluator = Evaluator(Reader(from_folder(guarded.url, str(files))), TIMING)
    for now in (35, 155):
        assert verdict_from(evaluator, now) == verdict_at(evaluator_for(serving()), now, a_run())


def test_a_changed_password_is_reported_until_its_file_is_changed(guarded: Guarded, files: Path) -> None:
    """The run holds and says why. What happens meanwhile is counted afterwards."""
    evaluator = Evaluator(Reader(from_folder(guarded.url, str(files))), TIMING)
    before = verdict_from(evaluator, 35)
    guarded.allow("renewed")
    assert verdict_from(evaluator, 65).message == UNAUTHORIZED
    (files / "password").write_text("renewed\n")
    assert verdict_from(evaluator, 155) == verdict_at(evaluator_for(serving()), 155, a_run()) != before


def test_without_credentials_there_is_an_error(guarded: Guarded, files: Path) -> None:
    """Also with a wrong token, without ca.crt, and without TLS."""
    (files / "username").unlink()
    (files / "password").unlink()
    reader = Reader(from_folder(guarded.url, str(files)))
    assert error_of(reader) == UNAUTHORIZED
    (files / "token").write_text("of-another-world")
    assert error_of(reader) == UNAUTHORIZED
    (files / "ca.crt").unlink()
    untrusted = error_of(reader)
    assert untrusted.startswith(f"{NO_ANSWER}its certificate is not trusted, ")
    assert untrusted.endswith(": is ca.crt that of its authority?")
    assert error_of(Reader(from_folder(guarded.url.replace("https", "http"), str(files)))) == (
        f"{NO_ANSWER}HTTP 400, Bad Request"
    )


def test_a_client_certificate_is_sent(guarded: Guarded, files: Path) -> None:
    """Prometheus reports only at the first request that it requires one."""
    guarded.allow("right", client_certificate=True)
    reader = Reader(from_folder(guarded.url, str(files)))
    assert error_of(reader) == (
        f"{NO_ANSWER}it refuses us without a certificate that it trusts: are tls.crt and tls.key those"
        " that it asks for?"
    )
    certificate, key = guarded.authority.pair("operator")
    os.link(certificate, files / "tls.crt")
    os.link(key, files / "tls.key")
    asyncio.run(reader.ahead())


def test_a_corrected_secret_is_used_without_a_restart(guarded: Guarded, files: Path) -> None:
    """A missing, an incomplete and a wrong Secret have each its message, and the right one gives a verdict."""
    kube, clock = FakeKube(), [0.0]
    host = guarded.url.removeprefix("https://")
    servers = Servers(kube, TIMING, (host,), clock=lambda: clock[0])
    evaluator, named = Evaluator(Reader(FakePrometheus()), TIMING, servers), Prometheus(guarded.url, "prometheus")

    def verdict_with(now: float, **keys: str) -> Verdict:
        if keys:
            keys["ca.crt"] = (files / "ca.crt").read_text()
            data = {key: base64.b64encode(value.encode()).decode() for key, value in keys.items()}
            kube.put({"kind": "Secret", "metadata": {"name": "prometheus", "namespace": "models"}, "data": data})
        clock[0] = now
        return verdict_from(evaluator, now, named)

    assert verdict_with(30) == metrics_lost(
        "Secret models/prometheus is not there: create it, or correct spec.prometheus.credentialsSecret"
    )
    assert verdict_with(60, username="sluice") == metrics_lost(
        "the credentials in Secret models/prometheus cannot be used: there is username without password: write both"
    )
    assert verdict_with(90, username="sluice", password="wrong") == metrics_lost(UNAUTHORIZED)
    assert verdict_with(155, username="sluice", password="right") == verdict_at(evaluator_for(serving()), 155, a_run())
