"""The operator's own settings, read once from the environment."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice_operator.api import labels, urls
from sluice_operator.api.allowed_routes import DEFAULT_ANNOTATIONS, Allowed, AllowedRoutes
from sluice_operator.api.allowed_trust import TrustLimit
from sluice_operator.api.quantities import Duration
from sluice_operator.api.spec import Trust

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_GATEWAY = re.compile(r"[a-z0-9.-]+(/[a-z0-9.-]+)?")  # an IngressClass, or NAMESPACE/NAME of a Gateway
_NAME_PATTERN = re.compile(r"[a-z0-9*.-]+")
_WHOLE = re.compile(r"[0-9]{1,9}")
_LAST_PORT = 65_535
_SHORTEST_KEY = 16  # bytes
_TREES = "sklearn.tree._tree.Tree"  # images of version 0.1.0 know no safe types of their own


@dataclass(frozen=True, slots=True)
class Settings:
    """Every field is an environment variable `SLUICE_<NAME>`; intervals are in seconds."""

    server_image: str
    tracking_uri: str  # of the registry, for a ModelDeployment that names none
    prometheus_url: str  # for a ModelDeployment that names none
    gateway_address: str  # URL that probes are sent to, with the Host header of the route
    gateway_addresses: Mapping[str, str] = field(default_factory=dict)  # of other gateways, by their names
    server_pyfunc_image: str = ""  # for `trust: Code`; that of the others if empty
    gateway_ca: str = ""  # PEM file with the authorities of the gateway's certificates; those of the system if empty
    gateway_headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # of each probe; may hold a token
    probe_timeout: float = 5.0
    smoke_timeout: float = 30.0
    store_url: str = ""  # of the store of prepared models, as pods reach it; empty: pods fetch from the registry
    store_key: str = field(default="", repr=False)  # of that store; empty: it asks nobody for a token
    registry_credentials: str = ""  # folder of the files that the operator's own registry is asked with
    prometheus_credentials: str = ""  # folder of the files that Prometheus is asked with
    allowed_prometheus: tuple[str, ...] = ()  # host:port patterns that `prometheus.url` may name
    scrape_interval: float = 15.0
    evaluation_interval: float = 5.0
    trusted_types: tuple[str, ...] = (_TREES,)  # that a skops file may hold, for `trust: TrustedTypes`
    unconfined_queries: tuple[str, ...] = ()  # namespace patterns whose queries may read all namespaces
    allowed_registries: tuple[str, ...] = ()  # host:port patterns that `registry.trackingURI` may name
    allowed_hosts: tuple[Allowed, ...] = ()  # that `traffic.ingress.host` may name; empty: all
    allowed_ingress_classes: tuple[Allowed, ...] = ()  # likewise `traffic.ingress.className`
    allowed_ingress_annotations: tuple[str, ...] = DEFAULT_ANNOTATIONS  # patterns of `traffic.ingress.annotations`
    allowed_trust: tuple[TrustLimit, ...] = ()  # up to which `model.trust` may go; empty: all
    allowed_host_access: tuple[str, ...] = ()  # namespace patterns whose pods may reach their node
    namespaces: tuple[str, ...] = ()  # that are watched; empty: all
    namespace_selector: str = ""  # labels of the namespaces that this operator works in; empty: all
    lease_namespace: str = "sluice-system"
    lease_name: str = "sluice-leader"
    workers: int = 4  # for objects at rest
    rollout_workers: int = 32  # for objects in a rollout
    health_port: int = 8082
    metrics_port: int = 8083
    log_level: str = "info"

    @property
    def allowed_routes(self) -> AllowedRoutes:
        """All lists about routes."""
        return AllowedRoutes(self.allowed_hosts, self.allowed_ingress_classes, self.allowed_ingress_annotations)


def read(environment: Mapping[str, str]) -> Settings:
    """Settings from `environment`. Raises ValueError with a message that names the variable."""
    variables = _Variables(environment)
    return Settings(
        server_image=variables.required("SERVER_IMAGE", "registry.example/sluice-server:1"),
        server_pyfunc_image=variables.text("SERVER_PYFUNC_IMAGE", ""),
        tracking_uri=variables.address("TRACKING_URI", "http://mlflow.mlflow.svc:5000"),
        prometheus_url=variables.address("PROMETHEUS_URL", "http://prometheus.monitoring.svc:9090"),
        gateway_address=variables.address("GATEWAY_ADDRESS", "http://traefik.traefik.svc"),
        gateway_addresses=variables.addresses("GATEWAY_ADDRESSES", "infra/public=http://public.infra.svc"),
        gateway_ca=variables.text("GATEWAY_CA", ""),
        gateway_headers=variables.headers("GATEWAY_HEADERS"),
        probe_timeout=variables.seconds("PROBE_TIMEOUT", 5.0),
        smoke_timeout=variables.seconds("SMOKE_TIMEOUT", 30.0),
        store_url=variables.optional_address("STORE_URL"),
        store_key=variables.key("STORE_KEY"),
        registry_credentials=variables.text("REGISTRY_CREDENTIALS", ""),
        prometheus_credentials=variables.text("PROMETHEUS_CREDENTIALS", ""),
        allowed_prometheus=variables.words("ALLOWED_PROMETHEUS", ()),
        scrape_interval=variables.seconds("SCRAPE_INTERVAL", 15.0),
        evaluation_interval=variables.seconds("EVALUATION_INTERVAL", 5.0),
        trusted_types=variables.words("TRUSTED_TYPES", (_TREES,)),
        unconfined_queries=variables.words("UNCONFINED_QUERIES", ()),
        allowed_registries=variables.words("ALLOWED_REGISTRIES", ()),
        allowed_hosts=variables.allowed("ALLOWED_HOSTS", "team-a=*.team-a.example.com"),
        allowed_ingress_classes=variables.allowed("ALLOWED_INGRESS_CLASSES", "team-a=nginx-internal"),
        allowed_ingress_annotations=variables.words("ALLOWED_INGRESS_ANNOTATIONS", DEFAULT_ANNOTATIONS),
        allowed_trust=variables.trust_limits("ALLOWED_TRUST", "team-a=Code"),
        allowed_host_access=variables.words("ALLOWED_HOST_ACCESS", ()),
        namespaces=variables.words("NAMESPACES", ()),
        namespace_selector=variables.selector("NAMESPACE_SELECTOR", besides="NAMESPACES"),
        lease_namespace=variables.text("LEASE_NAMESPACE", "sluice-system"),
        lease_name=variables.text("LEASE_NAME", "sluice-leader"),
        workers=variables.number("WORKERS", 4),
        rollout_workers=variables.number("ROLLOUT_WORKERS", 32),
        health_port=variables.number("HEALTH_PORT", 8082, most=_LAST_PORT),
        metrics_port=variables.number("METRICS_PORT", 8083, most=_LAST_PORT),
        log_level=variables.log_level("LOG_LEVEL", "info"),
    )


@dataclass(frozen=True, slots=True)
class _Variables:
    """Reads values of each kind; every name gets the prefix `SLUICE_`. All raise ValueError that names the variable."""

    environment: Mapping[str, str]

    def required(self, name: str, example: str) -> str:
        if not (value := self.environment.get(f"SLUICE_{name}", "")):
            raise ValueError(f"SLUICE_{name} is not set: write for example {example}")
        return value

    def address(self, name: str, example: str) -> str:
        """A URL. It must not hold a password: addresses are shown in logs and in status."""
        return self._plain(name, self.required(name, example))

    def optional_address(self, name: str) -> str:
        """A URL like that of `address`, or nothing."""
        value = self.text(name, "")
        return self._plain(name, value) if value else ""

    def addresses(self, name: str, example: str) -> dict[str, str]:
        """A list of `NAME=URL`."""
        pairs = [word.partition("=") for word in self.words(name, ())]
        for key, _, value in pairs:
            if not _GATEWAY.fullmatch(key) or not value:
                raise ValueError(f"SLUICE_{name}: {key!r} is not a gateway with its URL: write for example {example}")
        return {key: self._plain(name, value) for key, _, value in pairs}

    def _plain(self, name: str, value: str) -> str:
        try:
            return urls.plain(value)
        except ValueError as error:
            raise ValueError(f"SLUICE_{name}: {error}") from error

    def text(self, name: str, default: str) -> str:
        return self.environment.get(f"SLUICE_{name}", default)

    def seconds(self, name: str, default: float) -> float:
        text = self.environment.get(f"SLUICE_{name}")
        try:
            chosen = Duration.parse(text).total_seconds() if text else default
        except ValueError as error:
            raise ValueError(f"SLUICE_{name}: {error}") from error
        if chosen == 0:
            raise ValueError(f"SLUICE_{name}: {text!r} is not above 0")
        return chosen

    def number(self, name: str, default: int, most: int = 10_000) -> int:
        text = self.environment.get(f"SLUICE_{name}") or str(default)
        if not _WHOLE.fullmatch(text) or not 0 < int(text) <= most:
            raise ValueError(f"SLUICE_{name}: {text[:40]!r} is not a whole number from 1 to {most}")
        return int(text)

    def words(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        text = self.environment.get(f"SLUICE_{name}")
        return default if text is None else tuple(word.strip() for word in text.split(",") if word.strip())

    def allowed(self, name: str, example: str) -> tuple[Allowed, ...]:
        """A list of `NAMESPACE=PATTERN`, in which only `*` has a meaning of its own."""
        entries = []
        for word in self.words(name, ()):
            namespace, _, pattern = (part.strip() for part in word.partition("="))
            if not _NAME_PATTERN.fullmatch(namespace) or not _NAME_PATTERN.fullmatch(pattern):
                raise ValueError(f"SLUICE_{name}: {word!r} is not NAMESPACE=PATTERN: write for example {example}")
            entries.append(Allowed(namespace, pattern))
        return tuple(entries)

    def trust_limits(self, name: str, example: str) -> tuple[TrustLimit, ...]:
        """A list of `NAMESPACE=TRUST`; in the namespace, only `*` has a meaning of its own."""
        limits = []
        for word in self.words(name, ()):
            namespace, _, trust = (part.strip() for part in word.partition("="))
            if not _NAME_PATTERN.fullmatch(namespace) or trust not in tuple(Trust):
                one_of = f"NAMESPACE= one of {', '.join(Trust)}"
                raise ValueError(f"SLUICE_{name}: {word!r} is not {one_of}: write for example {example}")
            limits.append(TrustLimit(namespace, Trust(trust)))
        return tuple(limits)

    def selector(self, name: str, besides: str) -> str:
        """A label selector."""
        value = self.text(name, "")
        if value and not labels.is_selector(value):
            raise ValueError(f"SLUICE_{name}: {value[:80]!r} is no label selector: write for example team=a")
        if value and self.text(besides, ""):
            raise ValueError(f"SLUICE_{name} and SLUICE_{besides} cannot both be set: one names labels, one namespaces")
        return value

    def key(self, name: str) -> str:
        """Random text that proofs are made with. It is not shown."""
        value = self.text(name, "").strip()
        if value and len(value.encode()) < _SHORTEST_KEY:
            raise ValueError(f"SLUICE_{name}: a key needs at least {_SHORTEST_KEY} bytes")
        return value

    def headers(self, name: str) -> dict[str, str]:
        """A list of `Name: value`. A wrong entry is not shown, because it may hold a token."""
        pairs = [entry.partition(":") for entry in self.words(name, ())]
        headers = {key.strip(): value.strip() for key, _, value in pairs}
        for key, value in headers.items():
            if not _HEADER_NAME.fullmatch(key) or not value:
                raise ValueError(f"SLUICE_{name}: not a list of headers: write for example X-Forwarded-Proto: https")
            if key.lower() == "host" or key.lower().startswith("x-sluice-"):
                raise ValueError(f"SLUICE_{name}: {key} is set by the operator itself")
        return headers

    def log_level(self, name: str, default: str) -> str:
        level = self.environment.get(f"SLUICE_{name}", default).lower()
        if level.upper() not in logging.getLevelNamesMapping():
            raise ValueError(f"SLUICE_{name}: {level!r} is none of debug, info, warning, error")
        return level
