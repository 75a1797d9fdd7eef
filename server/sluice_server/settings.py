"""The environment, read once into frozen values.

`__main__` calls `serve_settings` or `fetch_settings` with `os.environ`; nothing else in the package looks at the
environment. A value that cannot be used raises `SettingError` with a sentence that names the variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sluice_server import handover, otlp_values
from sluice_server.handover import Place
from sluice_server.otlp_values import Sampling
from sluice_server.tolerance import Tolerance, tolerance
from sluice_server.variables import SettingError, choice, flag, header, names, number, required

# An init container is retried by the kubelet, so one try is short. A user's own value of a variable wins.
MLFLOW_DEFAULTS: Mapping[str, str] = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
REGISTRY_CA = Path("/etc/sluice/registry/ca.crt")  # of the Secret with the registry's credentials, if it has one
_STORE_URL = re.compile(r"https?://[^/@\s?#]+(/[^@\s?#]*)?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Trust(StrEnum):
    """How far the files of a model are trusted, from least to most."""

    DATA = "Data"
    TRUSTED_TYPES = "TrustedTypes"
    CODE = "Code"


class LogFormat(StrEnum):
    """How a log record is written."""

    JSON = "json"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how."""

    level: str
    format: LogFormat


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the store is, and the file with the token of this namespace.

    `is_open`: the store asks nobody for a token. That must be said: a file may be missing for other reasons.
    """

    url: str
    token_file: Path
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """What `fetch` and `prepare` need: which model, where to, how far to trust it, and the store, if there is one.

    `digest`: of a prepared model, which `fetch` then copies from the store; empty without one. `peer`: pods that may
    have it, too, and are asked where the store does not give it.
    """

    model_uri: str
    model_dir: Path
    trust: Trust
    trusted_types: tuple[str, ...]
    termination_log: Path
    log: LogSettings
    store: StoreSettings | None
    peer: StoreSettings | None
    digest: str


@dataclass(frozen=True, slots=True)
class ConvertSettings:
    """What the conversion of a fetched model needs."""

    model_dir: Path
    trusted_types: tuple[str, ...]
    log: LogSettings


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What the serving process needs. Times are in seconds, sizes in bytes.

    `digest`: that of the folder in the store, where the model is from there; else empty. `handover`: the place beside
    other processes, where models are reloaded.
    """

    model_name: str
    model_version: str
    model_uri: str
    revision: str
    model_deployment: str
    model_dir: Path
    digest: str
    trusted_types: tuple[str, ...]
    host: str
    cluster_port: int
    gateway_port: int
    drain_delay: float
    max_body: int
    max_body_bytes_together: int
    max_rows: int
    max_queued_rows: int
    feedback_key_file: Path
    feedback_max_age: float
    feedback_tolerance: Tolerance | None
    prediction_log_sample: float
    prediction_log_redacted: tuple[str, ...]
    keep_predictions: float
    correlation_header: str
    rate_limit: float
    rate_limit_burst: int
    rate_limit_header: str
    tracing: Sampling | None
    log: LogSettings
    store: StoreSettings | None
    handover: Place | None


def mlflow_defaults(authority: Path) -> dict[str, str]:
    """What MLflow's client reads, where the environment does not say it. `authority`: file of the registry's CA."""
    trusted = {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(authority)} if authority.is_file() else {}
    return {**MLFLOW_DEFAULTS, **trusted}


def fetch_settings(env: Mapping[str, str]) -> FetchSettings:
    """The settings of `fetch` and `prepare`; raises SettingError."""
    return FetchSettings(
        model_uri=required(env, "SLUICE_MODEL_URI", "a pinned model, for example models:/iris/3"),
        model_dir=Path(env.get("SLUICE_MODEL_DIR", "/model")),
        trust=choice(env, "SLUICE_TRUST", Trust, Trust.DATA),
        trusted_types=names(env, "SLUICE_TRUSTED_TYPES"),
        termination_log=Path(env.get("SLUICE_TERMINATION_LOG", "/dev/termination-log")),
        log=_log(env),
        store=_store(env, "SLUICE_STORE_URL"),
        peer=_store(env, "SLUICE_PEER_URL"),
        digest=_digest(env),
    )


def convert_settings(env: Mapping[str, str]) -> ConvertSettings:
    """The settings of `convert`; raises SettingError."""
    return ConvertSettings(Path(env.get("SLUICE_MODEL_DIR", "/model")), names(env, "SLUICE_TRUSTED_TYPES"), _log(env))


def serve_settings(env: Mapping[str, str]) -> ServeSettings:
    """The settings of `serve`; raises SettingError."""
    return ServeSettings(
        model_name=env.get("SLUICE_MODEL_NAME", ""),
        model_version=env.get("SLUICE_MODEL_VERSION", ""),
        model_uri=env.get("SLUICE_MODEL_URI", ""),
        revision=_revision(env),
        model_deployment=env.get("SLUICE_MODEL_DEPLOYMENT", ""),
        model_dir=Path(env.get("SLUICE_MODEL_DIR", "/model")),
        digest=_digest(env),
        trusted_types=names(env, "SLUICE_TRUSTED_TYPES"),
        host=env.get("SLUICE_HOST", "0.0.0.0"),  # noqa: S104 - a pod is reached at its own address
        cluster_port=number(env, "SLUICE_CLUSTER_PORT", int, 8080, 0, 65535),
        gateway_port=number(env, "SLUICE_GATEWAY_PORT", int, 8081, 0, 65535),
        drain_delay=number(env, "SLUICE_DRAIN_DELAY", float, 10.0, 0.0, 600.0),
        max_body=number(env, "SLUICE_MAX_BODY_BYTES", int, 4 * 1024 * 1024, 1024, 1024**3),
        max_body_bytes_together=number(env, "SLUICE_MAX_BODY_BYTES_TOGETHER", int, 64 * 1024 * 1024, 1024, 1024**4),
        max_rows=number(env, "SLUICE_MAX_ROWS", int, 10_000, 1, 10_000_000),
        max_queued_rows=number(env, "SLUICE_MAX_QUEUED_ROWS", int, 100_000, 1, 100_000_000),
        feedback_key_file=Path(env.get("SLUICE_FEEDBACK_KEY_FILE", "/etc/sluice/feedback/key")),
        feedback_max_age=number(env, "SLUICE_FEEDBACK_MAX_AGE", float, 7 * 86_400.0, 1.0, 366 * 86_400.0),
        feedback_tolerance=_tolerance(env),
        prediction_log_sample=number(env, "SLUICE_PREDICTION_LOG_SAMPLE", float, 0.0, 0.0, 1.0),
        prediction_log_redacted=names(env, "SLUICE_PREDICTION_LOG_REDACT"),
        keep_predictions=_kept_share(env),
        correlation_header=header(env, "CORRELATION_ID_HEADER", "X-Correlation-ID"),
        rate_limit=number(env, "SLUICE_RATE_LIMIT", float, 0.0, 0.0, 1_000_000.0),
        rate_limit_burst=number(env, "SLUICE_RATE_LIMIT_BURST", int, 10, 1, 1_000_000),
        rate_limit_header=header(env, "SLUICE_RATE_LIMIT_HEADER", "X-API-Key"),
        tracing=_tracing(env),
        log=_log(env),
        store=_store(env, "SLUICE_STORE_URL"),
        handover=handover.place(env),
    )


def _store(env: Mapping[str, str], name: str) -> StoreSettings | None:
    url = env.get(name, "").strip().rstrip("/")
    if not url:
        return None
    if not _STORE_URL.fullmatch(url):
        raise SettingError(f"{name} is no address: write http://HOST:PORT, without a user in it.")
    token_file = Path(env.get("SLUICE_STORE_TOKEN_FILE", "/etc/sluice/store/token"))
    return StoreSettings(url, token_file, flag(env, "SLUICE_STORE_OPEN"))


def _kept_share(env: Mapping[str, str]) -> float:
    share = number(env, "SLUICE_KEEP_PREDICTIONS", float, 0.0, 0.0, 1.0)
    if share and not env.get("SLUICE_STORE_URL", "").strip():
        raise SettingError(
            "SLUICE_KEEP_PREDICTIONS is set and SLUICE_STORE_URL is not: predictions are kept in a store. Set its "
            "address, or leave both out."
        )
    return share


def _tolerance(env: Mapping[str, str]) -> Tolerance | None:
    try:
        return tolerance(env.get("SLUICE_FEEDBACK_TOLERANCE", ""))
    except ValueError as error:
        raise SettingError(f"SLUICE_FEEDBACK_TOLERANCE: {error}.") from None


def _digest(env: Mapping[str, str]) -> str:
    value = env.get("SLUICE_MODEL_DIGEST", "").strip()
    if value and not _DIGEST.fullmatch(value):
        raise SettingError(f"SLUICE_MODEL_DIGEST is {value[:100]!r}: it must be sha256: and 64 hex digits.")
    if value and not env.get("SLUICE_STORE_URL", "").strip():
        raise SettingError("SLUICE_MODEL_DIGEST is set and SLUICE_STORE_URL is not: a digest is copied from a store.")
    return value


def _revision(env: Mapping[str, str]) -> str:
    value = env.get("SLUICE_REVISION", "local").strip()
    if not re.fullmatch(r"[a-z0-9]{1,16}", value):
        raise SettingError(f"SLUICE_REVISION is {value!r}: it must be 1 to 16 lower-case letters and digits.")
    return value


def _tracing(env: Mapping[str, str]) -> Sampling | None:
    try:
        return otlp_values.sampling(env)
    except ValueError as error:
        raise SettingError(str(error)) from None


def _log(env: Mapping[str, str]) -> LogSettings:
    level = env.get("LOG_LEVEL", "").strip().upper() or "INFO"
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise SettingError(f"LOG_LEVEL is {level!r}: it must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL.")
    return LogSettings(level, choice(env, "LOG_FORMAT", LogFormat, LogFormat.JSON))
