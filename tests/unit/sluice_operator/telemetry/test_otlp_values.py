"""Values of OTEL_ variables that cannot be used are refused by name; OpenTelemetry would use others in silence."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from opentelemetry.util.re import parse_env_headers

from sluice_operator.telemetry import otlp_values
from tests.unit.sluice_operator.certificates import Authority

SECRET = "s3cret-canary"
OTLP = "OTEL_EXPORTER_OTLP_"


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        (f"{OTLP}ENDPOINT", "collector:4318", "such as http://otel-collector.monitoring.svc:4318"),
        (f"{OTLP}ENDPOINT", f"http://u:{SECRET}@collector:4318", f"belongs into {OTLP}HEADERS"),
        (f"{OTLP}TRACES_ENDPOINT", "collector", "write scheme, host"),
        (f"{OTLP}PROTOCOL", "grpc", "is not http/protobuf"),
        (f"{OTLP}HEADERS", SECRET, "entry 1 is no header: write name=value"),
        (f"{OTLP}HEADERS", f"a=b,authorization: {SECRET}", "entry 2 is no header"),
        (f"{OTLP}TRACES_HEADERS", f'authorization="{SECRET}"', "without quotes"),
        (f"{OTLP}CERTIFICATE", "/none", "/none has no certificates in PEM"),
        (f"{OTLP}CLIENT_CERTIFICATE", "/none", "no pair of certificate and key"),
        (f"{OTLP}CLIENT_KEY", "/none", "write the certificate of this key"),
        (f"{OTLP}COMPRESSION", "zip", "is none of none, gzip, deflate"),
        (f"{OTLP}TIMEOUT", "soon", "write a number of seconds"),
        ("OTEL_TRACES_SAMPLER", "bogus", "is none of always_on"),
        ("OTEL_TRACES_SAMPLER_ARG", "lots", "write a number from 0 to 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan", "write a number from 0 to 1"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team", "entry 1 is no attribute"),
    ],
)
def test_what_cannot_be_used_is_refused(variable: str, value: str, sentence: str) -> None:
    """With the variable, what to write instead, and no secret."""
    with pytest.raises(ValueError, match=f"^{variable}: ") as refused:
        otlp_values.check({variable: value})
    assert sentence in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (f"{OTLP}ENDPOINT", "https://collector.example/otlp/"),
        (f"{OTLP}HEADERS", "authorization=Bearer%20TOKEN, x-scope=a=b ,"),
        (f"{OTLP}HEADERS", "authorization=Basic dXNlcjpwYXNz=="),
        (f"{OTLP}COMPRESSION", "gzip"),
        (f"{OTLP}TIMEOUT", "2.5"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=ml,k8s.cluster.name=a"),
        (f"{OTLP}CERTIFICATE", ""),
    ],
)
def test_what_can_be_used_is_not_refused(variable: str, value: str) -> None:
    """An empty value is none."""
    otlp_values.check({variable: value})


@pytest.mark.parametrize(
    "entry", ["a=b", "a", "a b=c", "a= b c", "=b", "a=b;c", 'a="b"', "a=b\\c", "a=é", "a/b=c", "a="]
)
def test_headers_are_read_as_opentelemetry_reads_them(entry: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither is one refused that would be sent, nor one accepted that would be left out."""
    caplog.set_level(logging.ERROR, "opentelemetry.util.re")
    try:
        otlp_values.check({f"{OTLP}HEADERS": entry})
    except ValueError:
        assert parse_env_headers(entry, liberal=True) == {}
    else:
        assert parse_env_headers(entry, liberal=True) != {}


def test_files_for_tls_are_read_at_the_start(tmp_path: Path) -> None:
    """A key of another certificate, and a file that holds something else, would let each export fail."""
    one, other = Authority.made(tmp_path / "one"), Authority.made(tmp_path / "other")
    certificate, key = (str(path) for path in one.pair("operator"))
    files = {f"{OTLP}CERTIFICATE": str(one.certificate), f"{OTLP}CLIENT_CERTIFICATE": certificate}
    otlp_values.check({**files, f"{OTLP}CLIENT_KEY": key})
    otlp_values.check({f"{OTLP}CERTIFICATE": str(tmp_path)})
    wrong = str(other.pair("operator")[1])
    with pytest.raises(ValueError, match="CLIENT_CERTIFICATE: no pair of certificate and key"):
        otlp_values.check({**files, f"{OTLP}CLIENT_KEY": wrong})
    with pytest.raises(ValueError, match=r"CERTIFICATE: .* has no certificates in PEM"):
        otlp_values.check({f"{OTLP}CERTIFICATE": key})
