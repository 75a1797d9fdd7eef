"""Names that operator and model server both define must be equal."""

import ast
import dataclasses
import io
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import generate_latest

import sluice_server
from sluice_operator.api import names
from sluice_operator.api.owner import Owner
from sluice_operator.api.revision import Model, Revision
from sluice_operator.api.spec import Trust
from sluice_operator.counting import latency_buckets
from sluice_operator.counting.counters import Counters
from sluice_operator.counting.ticks import tally
from sluice_operator.credentials import store_token
from sluice_operator.kubernetes.fetch_report import REASONS
from sluice_operator.manifests import builders
from sluice_operator.prometheus.selection import COUNTERS
from sluice_operator.telemetry import otlp as traces
from sluice_server import otlp_values, settings
from sluice_server.http import asgi
from sluice_server.http.dialects import CODES
from sluice_server.inference import metrics as served
from sluice_server.inference import request_metrics
from sluice_server.model import file_names
from sluice_server.model.identity import Identity
from sluice_store import tokens
from sluice_store.models.archive import ArchiveError, ArchiveReader

OWNER = Owner("models", "iris", "uid")
IDENTITY = Identity("iris", "3", "abcdefghij")
REVISION = Revision(
    revision="abcdefghij",
    model=Model(uri="models:/iris/3", name="iris", version="3"),
    image="server:1",
    trust=Trust.TRUSTED_TYPES,
    tracking_uri="http://mlflow:5000",
)


def test_latency_bounds_are_those_of_the_server() -> None:
    """At any other bound there would seem to be 0 requests."""
    assert latency_buckets.LATENCY_BOUNDS == request_metrics.LATENCY_BOUNDS


def test_the_server_exports_the_series_that_the_reader_asks_for() -> None:
    """Each counter of the query is there, with the labels for revision and entry."""
    text = generate_latest(served.Metrics(IDENTITY, CODES).registry).decode()
    for counter in COUNTERS:
        line = next((line for line in text.splitlines() if line.startswith(f"{counter}{{")), None)
        assert line is not None, f"{counter} is not exported"
        assert 'revision="abcdefghij"' in line
        assert re.search(r'entry="(gateway|cluster)"', line)


def test_errors_and_latencies_are_read_from_the_server_s_labels() -> None:
    """Status 500 is an error, and a bucket counts the requests within its bound."""
    exported, counters = served.Metrics(IDENTITY, CODES), Counters()
    counters.add(_scraped(exported, 0.0))
    exported.meters["gateway"].start()
    exported.meters["gateway"].finish(500, 0.3)
    counters.add(_scraped(exported, 1.0))
    counted = tally(counters, "abcdefghij", 0.0, 1.0)
    assert (counted.started, counted.finished, counted.errors) == (1, 1, 1)
    assert (counted.within[0.2], counted.within[0.5], counted.slower(0.2)) == (0, 1, (1, 1))


def test_a_pod_has_its_counters_before_its_first_request() -> None:
    """They are 0. So a canary without requests is noticed, and the first error is an increase."""
    counters = Counters()
    counters.add(_scraped(served.Metrics(IDENTITY, CODES), 0.0))
    assert counters.pods["pod"].revision == "abcdefghij"
    assert tally(counters, "abcdefghij", -1.0, 0.0).within[0.2] == 0


def _scraped(exported: served.Metrics, at: float) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
    """The series for requests through the gateway, as Prometheus would have them."""
    return [
        ({**labels, "__name__": name, "pod_uid": "pod"}, [(at, value)])
        for name, labels, value in _samples(generate_latest(exported.registry).decode())
        if labels.get("entry") == "gateway"
    ]


def _samples(text: str) -> list[tuple[str, dict[str, str], float]]:
    lines = (re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line) for line in text.splitlines())
    return [(line[1], dict(re.findall(r'(\w+)="([^"]*)"', line[2])), float(line[3])) for line in lines if line]


def test_operator_and_server_refuse_the_same_values_for_traces_in_the_same_words() -> None:
    """Each checks the standard variables by itself, and people write them once for both."""
    otlp = "OTEL_EXPORTER_OTLP_"
    collector = {f"{otlp}ENDPOINT": "http://collector:4318"}
    tried: dict[str, tuple[str, ...]] = {
        f"{otlp}ENDPOINT": (
            "collector:4318",
            "http://u:p@collector:4318",
            "https://collector.example/otlp/",
            "http://[::1",
        ),
        f"{otlp}TRACES_ENDPOINT": ("collector",),
        f"{otlp}PROTOCOL": ("grpc", "http/protobuf"),
        f"{otlp}HEADERS": ("secret", "a=b,c: d", 'a="b"', "authorization=Bearer%20TOKEN, x=a=b ,", "a=", "a b=c"),
        f"{otlp}CERTIFICATE": ("/none", ""),
        f"{otlp}CLIENT_CERTIFICATE": ("/none",),
        f"{otlp}CLIENT_KEY": ("/none",),
        f"{otlp}COMPRESSION": ("zip", "gzip"),
        f"{otlp}TIMEOUT": ("soon", "0", "2.5"),
        "OTEL_TRACES_EXPORTER": ("zipkin", "none"),
        "OTEL_TRACES_SAMPLER": ("bogus", "ALWAYS_ON", "parentbased_traceidratio"),
        "OTEL_TRACES_SAMPLER_ARG": ("lots", "nan", "2", "0.25"),
        "OTEL_RESOURCE_ATTRIBUTES": ("team", "team=ml"),
        "OTEL_SDK_DISABLED": ("True", "no"),
    }

    def said(reads: Callable[[dict[str, str]], object], env: dict[str, str]) -> str:
        try:
            return "on" if reads(env) else "off"
        except ValueError as error:
            return str(error)

    for variable, values in tried.items():
        for value in values:
            env = collector | {variable: value}
            assert said(otlp_values.sampling, env) == said(traces.is_wanted, env), env


def test_the_operator_knows_the_reasons_of_fetch() -> None:
    """Any other word is that of another image, and is told as one fixed word."""
    folder = Path(sluice_server.__file__).parent
    calls_of = ("Refused", "Unavailable", "StoreError")
    reasons = set[str]()
    for file in folder.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(file.read_text())))
        constants = {
            node.targets[0].id: node.value
            for node in nodes
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for call in nodes:
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args):
                continue
            word = call.args[0]
            word = constants.get(word.id, word) if isinstance(word, ast.Name) else word
            if call.func.id in calls_of and isinstance(word, ast.Constant):
                reasons.add(str(word.value))
    assert reasons - {"RegistryUnavailable"} == REASONS


def test_probes_have_the_header_that_the_server_does_not_count() -> None:
    """Counted probes would be evidence."""
    assert names.HEADER_PROBE.encode() == asgi.PROBE_HEADER


def test_the_job_and_the_pods_of_a_prepared_revision_name_the_same_model() -> None:
    """Both read the settings of fetch. Only the pods know the digest, and only the Job the registry."""
    prepared = replace(REVISION, from_store=True, model=replace(REVISION.model, digest=f"sha256:{'0' * 64}"))
    pod = builders.deployment(OWNER, prepared, 1)["spec"]["template"]["spec"]
    job = builders.prepare_job(OWNER, prepared, "abcdefghij-1")["spec"]["template"]["spec"]
    store = {"SLUICE_STORE_URL": "http://store:8090"}  # a reference to the ConfigMap is resolved by the kubelet
    fetching, preparing = (
        settings.fetch_settings(
            {entry["name"]: entry.get("value") or store.get(entry["name"], "") for entry in container["env"]}
        )
        for container in (*pod["initContainers"], *job["containers"])
    )
    assert fetching == dataclasses.replace(preparing, digest=prepared.model.digest, peer=fetching.peer)
    assert fetching.peer is not None
    assert fetching.peer.url == "http://iris-abcdefghij.models.svc"
    assert preparing.store is not None
    assert str(preparing.store.token_file) == f"{names.STORE_DIR}/token"


def test_the_store_knows_the_tokens_that_the_operator_makes() -> None:
    """Each is for its own namespace."""
    token = store_token.make("0123456789abcdef", "team-a")
    assert tokens.namespace_of(b"0123456789abcdef", token) == "team-a"
    assert tokens.namespace_of(b"another key of 16", token) is None
    assert store_token.make("", "team-a") == "", "an open store asks for none"


def test_the_server_reads_the_environment_that_the_operator_writes() -> None:
    """Ports, folder, revision and key file are the same for both."""
    pod = builders.deployment(OWNER, REVISION, 1)["spec"]["template"]["spec"]
    fetch_container, container = pod["initContainers"][0], pod["containers"][0]
    serving = settings.serve_settings({entry["name"]: entry["value"] for entry in container["env"]})
    fetching = settings.fetch_settings({entry["name"]: entry["value"] for entry in fetch_container["env"]})
    assert (fetching.model_uri, fetching.trust, fetching.model_dir) == (
        "models:/iris/3",
        "TrustedTypes",
        serving.model_dir,
    )
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": serving.cluster_port, "gateway": serving.gateway_port}
    assert serving.revision == REVISION.revision
    assert str(serving.model_dir) in {mount["mountPath"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize(
    "name",
    [
        "model.pkl",
        "data/a b.bin",
        "ä/ö",
        "a//b",
        "/a",
        ".",
        "a/../b",
        "a\\b",
        "c:a",
        "a\nb",
        "a\u200bb",
        "a" * 1_000,
        "a" * 1_025,
    ],
    ids=ascii,
)
def test_the_store_takes_the_names_that_the_server_takes(name: str) -> None:
    """Else a model is checked, and then refused by the store again and again."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as written:
        written.addfile(tarfile.TarInfo(f"files/{name}"))
    reader = ArchiveReader()
    try:
        reader.feed(archive.getvalue())
        taken = True
    except ArchiveError:
        taken = False
    assert file_names.is_inside(name) == taken
