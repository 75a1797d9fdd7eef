"""What the standard OTEL_ variables say about traces. OpenTelemetry itself falls back to other values in silence.

Raises ValueError for the first value that cannot be used, with the variable and what to write. No message shows a value
that may hold a password or a token.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

USUAL_SHARE = 0.01
_SIGNALS = ("OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_")  # what is for traces comes first
_PROTOCOL = "http/protobuf"
_PARENT_BASED = "parentbased_"
_SAMPLERS = ("always_on", "always_off", "traceidratio")
_COMPRESSIONS = ("none", "gzip", "deflate")
_URL = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")
_HEADER = re.compile(r"\s*[!#-'*+\-.0-9A-Z^-z|~]+\s*=[ !#-+\--:<-\[\]-~\t]*")  # as OpenTelemetry reads it


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which requests are traced: `share` (0 to 1) of those that nobody else decides about.

    `parent_based`: for a request that is part of a caller's trace, the caller has decided.
    """

    share: float
    parent_based: bool


def sampling(env: Mapping[str, str]) -> Sampling | None:
    """Which requests are traced; None if no collector is named, or traces are switched off. Raises ValueError."""
    exporter = env.get("OTEL_TRACES_EXPORTER") or "otlp"
    if exporter not in ("otlp", "none"):
        raise ValueError(f"OTEL_TRACES_EXPORTER: {exporter!r} is none of otlp, none")
    if _first(env, "ENDPOINT") is None or exporter == "none" or env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    _check(env)
    sampler = env.get("OTEL_TRACES_SAMPLER", "").lower() or f"{_PARENT_BASED}traceidratio"
    share = float(env.get("OTEL_TRACES_SAMPLER_ARG") or USUAL_SHARE)
    shares = {"always_on": 1.0, "always_off": 0.0, "traceidratio": share}
    return Sampling(shares[sampler.removeprefix(_PARENT_BASED)], sampler.startswith(_PARENT_BASED))


def _first(env: Mapping[str, str], name: str) -> tuple[str, str] | None:
    """Variable and value of the first one that is set and not empty: for traces, or for all that is sent."""
    names = (prefix + name for prefix in _SIGNALS)
    return next(((name, env[name]) for name in names if env.get(name)), None)


def _check(env: Mapping[str, str]) -> None:
    for name, check_one in _EXPORTER.items():
        if named := _first(env, name):
            _checked(named[0], named[1], check_one)
    for variable, check_one in _SDK.items():
        if value := env.get(variable):
            _checked(variable, value, check_one)
    _check_client(env)


def _checked(variable: str, value: str, check_one: Callable[[str], None]) -> None:
    try:
        check_one(value)
    except (OSError, ValueError) as error:
        raise ValueError(f"{variable}: {error}") from None


def _address(value: str) -> None:
    if not _URL.fullmatch(value):
        example = "such as http://otel-collector.monitoring.svc:4318"
        headers = "a user, a password or a token belongs into OTEL_EXPORTER_OTLP_HEADERS"
        raise ValueError(f"write scheme, host, and port or path, {example}; {headers}")


def _protocol(value: str) -> None:
    if value != _PROTOCOL:
        raise ValueError(f"{value!r} is not {_PROTOCOL}, which collectors take at port 4318")


def _headers(value: str) -> None:
    for number, entry in enumerate(value.split(","), start=1):
        if entry.strip() and not _HEADER.fullmatch(entry):
            form = "name=value without quotes, with % codes for other characters, such as authorization=Bearer%20TOKEN"
            raise ValueError(f"entry {number} is no header: write {form}, and commas between entries")


def _attributes(value: str) -> None:
    for number, entry in enumerate(value.split(","), start=1):
        if entry.strip() and "=" not in entry:
            raise ValueError(f"entry {number} is no attribute: write name=value, and commas between entries")


def _authorities(value: str) -> None:
    context = ssl.create_default_context()
    try:
        folder = Path(value).is_dir()
        context.load_verify_locations(capath=value) if folder else context.load_verify_locations(cafile=value)
    except OSError as error:
        raise ValueError(f"{value} has no certificates in PEM: {error}") from error


def _sampler(value: str) -> None:
    known = (*_SAMPLERS, *(_PARENT_BASED + name for name in _SAMPLERS))
    if value.lower() not in known:
        raise ValueError(f"{value!r} is none of {', '.join(known)}")


def _ratio(value: str) -> None:
    try:
        good = 0 <= float(value) <= 1
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"{value!r} is not a share of traces: write a number from 0 to 1")


def _compression(value: str) -> None:
    if value.lower().strip() not in _COMPRESSIONS:
        raise ValueError(f"{value!r} is none of {', '.join(_COMPRESSIONS)}")


def _seconds(value: str) -> None:
    try:
        good = 0 < float(value) < float("inf")
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"{value!r} is not a time: write a number of seconds")


def _check_client(env: Mapping[str, str]) -> None:
    certificate, key = _first(env, "CLIENT_CERTIFICATE"), _first(env, "CLIENT_KEY")
    if certificate is None:
        if key is not None:
            raise ValueError(f"{key[0]}: write the certificate of this key into OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE")
        return
    variable, path = certificate
    try:
        ssl.create_default_context().load_cert_chain(path, key[1] if key else None, password="")
    except (OSError, ValueError) as error:
        raise ValueError(f"{variable}: no pair of certificate and key in PEM: {error}") from None


_EXPORTER: Mapping[str, Callable[[str], None]] = {
    "ENDPOINT": _address,
    "PROTOCOL": _protocol,
    "HEADERS": _headers,
    "CERTIFICATE": _authorities,
    "COMPRESSION": _compression,
    "TIMEOUT": _seconds,
}
_SDK: Mapping[str, Callable[[str], None]] = {
    "OTEL_TRACES_SAMPLER": _sampler,
    "OTEL_TRACES_SAMPLER_ARG": _ratio,
    "OTEL_RESOURCE_ATTRIBUTES": _attributes,
}
