"""The operator's own settings, read once from the environment."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from sluice_operator.quantities import Duration

_TREES = "sklearn.tree._tree.Tree"


@dataclass(frozen=True, slots=True)
class Settings:
    """Every field is an environment variable `SLUICE_<NAME>`; intervals are in seconds."""

    server_image: str
    tracking_uri: str  # of the registry that a ModelDeployment uses when it names none
    prometheus_url: str
    gateway_address: str  # where probes go in, with the Host header of the route
    scrape_interval: float = 15.0
    evaluation_interval: float = 5.0
    trusted_types: tuple[str, ...] = (_TREES,)  # that a skops file may hold, for `trust: TrustedTypes`
    allowed_registries: tuple[str, ...] = ()  # host:port patterns that `registry.trackingURI` may name
    workers: int = 4
    health_port: int = 8082
    log_level: str = "info"


def read(environment: Mapping[str, str]) -> Settings:
    """Settings from `environment`. Raises ValueError that names the variable."""

    def required(name: str, example: str) -> str:
        if not (value := environment.get(f"SLUICE_{name}", "")):
            raise ValueError(f"SLUICE_{name} is not set: write for example {example}")
        return value

    def seconds(name: str, default: float) -> float:
        text = environment.get(f"SLUICE_{name}")
        try:
            chosen = Duration.parse(text).total_seconds() if text else default
        except ValueError as error:
            raise ValueError(f"SLUICE_{name}: {error}") from error
        if chosen == 0:
            raise ValueError(f"SLUICE_{name}: {text!r} is not above 0")
        return chosen

    def number(name: str, default: int) -> int:
        text = environment.get(f"SLUICE_{name}") or str(default)
        if not text.isdecimal() or int(text) == 0:
            raise ValueError(f"SLUICE_{name}: {text!r} is not a whole number above 0")
        return int(text)

    def words(name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        text = environment.get(f"SLUICE_{name}")
        return default if text is None else tuple(word.strip() for word in text.split(",") if word.strip())

    log_level = environment.get("SLUICE_LOG_LEVEL", "info").lower()
    if log_level.upper() not in logging.getLevelNamesMapping():
        raise ValueError(f"SLUICE_LOG_LEVEL: {log_level!r} is none of debug, info, warning, error")
    return Settings(
        server_image=required("SERVER_IMAGE", "registry.example/sluice-server:1"),
        tracking_uri=required("TRACKING_URI", "http://mlflow.mlflow.svc:5000"),
        prometheus_url=required("PROMETHEUS_URL", "http://prometheus.monitoring.svc:9090"),
        gateway_address=required("GATEWAY_ADDRESS", "http://traefik.traefik.svc"),
        scrape_interval=seconds("SCRAPE_INTERVAL", 15.0),
        evaluation_interval=seconds("EVALUATION_INTERVAL", 5.0),
        trusted_types=words("TRUSTED_TYPES", (_TREES,)),
        allowed_registries=words("ALLOWED_REGISTRIES", ()),
        workers=number("WORKERS", 4),
        health_port=number("HEALTH_PORT", 8082),
        log_level=log_level,
    )
