"""A real Prometheus behind TLS and passwords: who may ask is judged by as without them, who may not reads why."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from sluice_operator.api.spec import Prometheus
from sluice_operator.api.status import Verdict
from sluice_operator.controller.evaluate import Evaluator
from sluice_operator.counting.intervals import Intervals
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.renewal import from_folder
from sluice_operator.prometheus.servers import Servers
from tests.contract.conftest import PATIENCE, free_ports, running
from tests.contract.test_prometheus import BEGAN, program, targets
from tests.unit.sluice_operator.certificates import Authority
from tests.unit.sluice_operator.fake_prometheus import INTERVAL, FakePrometheus, a_run, look, lost, serving, trials
from tests.unit.sluice_operator.fakes import FakeKube

BCRYPT = {  # of passwords, as Prometheus wants them
    "right": "$2b$04$sluiceaaaaaaaaaaaaaaaOBUryJpaAemD01Pz8lPZW7Xz6jtbCL32",
    "renewed": "$2b$04$sluicebbbbbbbbbbbbbbbOIxQ31UGQwF.y0mBe3ejThNYvfhBpcQW",
}
NO_ANSWER = "Prometheus gave no answer: "
UNAUTHORIZED = f"{NO_ANSWER}HTTP 401, Unauthorized: are its credentials right?"
TIMING = Intervals(scrape=INTERVAL, evaluation=5)


@dataclass(frozen=True)
class Guarded:
    """A Prometheus that reads anew at each request whom it lets in."""

    url: str
    folder: Path
    authority: Authority

    def lets_in(self, password: str, client_certificate: bool = False) -> None:
        """The user `sluice` with this password; and those alone, perhaps, whose certificate is of our authority."""
        certificate, key = self.folder / "authority" / "server.crt", self.folder / "authority" / "server.key"
        tls = {"cert_file": str(certificate), "key_file": str(key)}
        if client_certificate:
            tls |= {"client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": str(self.authority.certificate)}
        written = self.folder / "web.yml.new"
        written.write_text(yaml.safe_dump({"tls_server_config": tls, "basic_auth_users": {"sluice": BCRYPT[password]}}))
        written.rename(self.folder / "web.yml")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """One that has read the samples of a run."""
    folder, (port,) = tmp_path_factory.mktemp("prometheus"), free_ports(1)
    authority = Authority.made(folder / "authority")
    authority.pair("server")
    found = Guarded(f"https://127.0.0.1:{port}", folder, authority)
    found.lets_in("right")
    with targets() as (address, read):
        job = {"job_name": "pods", "metrics_path": "/pods", "static_configs": [{"targets": [address]}]}
        every = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump({"global": every, "scrape_configs": [job]}))
        command = [
            *(program(), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", "--log.level=error"),
            *(f"--web.listen-address=127.0.0.1:{port}", f"--web.config.file={folder / 'web.yml'}"),
        ]
        with running(command, folder / "prometheus.log"):
            assert read["pods"].wait(PATIENCE), (folder / "prometheus.log").read_text()[-2000:]
            yield found


@pytest.fixture
def files(tmp_path: Path, guarded: Guarded) -> Path:
    """A folder with the right credentials."""
    guarded.lets_in("right")
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "ca.crt").write_bytes(guarded.authority.certificate.read_bytes())
    (folder / "username").write_text("sluice\n")
    (folder / "password").write_text("right\n")
    return folder


def seen_by(by: Evaluator, now: float, named: Prometheus | None = None) -> Verdict:
    """The verdict `now` seconds after a run would have begun at BEGAN."""
    return look(by, BEGAN + now, a_run(BEGAN, prometheus=named))


def told(reader: Reader) -> str:
    with pytest.raises(MetricsLostError) as error:
        asyncio.run(reader.ahead())
    return str(error.value)


def test_who_has_the_right_credentials_reads_samples(guarded: Guarded, files: Path) -> None:
    """The verdict is that on a fake which asks nobody who he is, number for number."""
    by = Evaluator(Reader(from_folder(guarded.url, str(files))), TIMING)
    for now in (35, 155):
        assert seen_by(by, now) == look(trials(serving()), now, a_run())


def test_a_password_that_was_changed_is_told_until_its_file_is_too(guarded: Guarded, files: Path) -> None:
    """The run is held with a sentence; what happened meanwhile is counted afterwards."""
    by = Evaluator(Reader(from_folder(guarded.url, str(files))), TIMING)
    before = seen_by(by, 35)
    guarded.lets_in("renewed")
    assert seen_by(by, 65).message == UNAUTHORIZED
    (files / "password").write_text("renewed\n")
    assert seen_by(by, 155) == look(trials(serving()), 155, a_run()) != before


def test_who_says_nothing_reads_nothing(guarded: Guarded, files: Path) -> None:
    """Neither who he is, nor whom he trusts, nor that he speaks TLS."""
    (files / "username").unlink()
    (files / "password").unlink()
    reader = Reader(from_folder(guarded.url, str(files)))
    assert told(reader) == UNAUTHORIZED
    (files / "token").write_text("of-another-world")
    assert told(reader) == UNAUTHORIZED
    (files / "ca.crt").unlink()
    untrusted = told(reader)
    assert untrusted.startswith(f"{NO_ANSWER}its certificate is not trusted, ")
    assert untrusted.endswith(": is ca.crt that of its authority?")
    assert told(Reader(from_folder(guarded.url.replace("https", "http"), str(files)))) == (
        f"{NO_ANSWER}HTTP 400, Bad Request"
    )


def test_a_client_certificate_is_shown(guarded: Guarded, files: Path) -> None:
    """Prometheus tells only when it is asked something that it wants one."""
    guarded.lets_in("right", client_certificate=True)
    reader = Reader(from_folder(guarded.url, str(files)))
    assert told(reader) == (
        f"{NO_ANSWER}it refuses us without a certificate that it trusts: are tls.crt and tls.key those"
        " that it asks for?"
    )
    certificate, key = guarded.authority.pair("operator")
    os.link(certificate, files / "tls.crt")
    os.link(key, files / "tls.key")
    asyncio.run(reader.ahead())


def test_an_object_s_secret_that_is_mended_is_used_without_a_restart(guarded: Guarded, files: Path) -> None:
    """Absent, half, wrong, right: each gets its sentence, and the last one its verdict."""
    kube, clock = FakeKube(), [0.0]
    host = guarded.url.removeprefix("https://")
    sources = Servers(kube, TIMING, (host,), clock=lambda: clock[0])
    by, named = Evaluator(Reader(FakePrometheus()), TIMING, sources), Prometheus(guarded.url, "prometheus")

    def seen(now: float, **keys: str) -> Verdict:
        if keys:
            keys["ca.crt"] = (files / "ca.crt").read_text()
            data = {key: base64.b64encode(value.encode()).decode() for key, value in keys.items()}
            kube.put({"kind": "Secret", "metadata": {"name": "prometheus", "namespace": "models"}, "data": data})
        clock[0] = now
        return seen_by(by, now, named)

    assert seen(30) == lost(
        "Secret models/prometheus is not there: create it, or correct spec.prometheus.credentialsSecret"
    )
    assert seen(60, username="sluice") == lost(
        "the credentials in Secret models/prometheus cannot be used: there is username without password: write both"
    )
    assert seen(90, username="sluice", password="wrong") == lost(UNAUTHORIZED)
    assert seen(155, username="sluice", password="right") == look(trials(serving()), 155, a_run())
