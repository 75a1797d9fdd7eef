"""The operator's settings: which are required, their defaults, and that wrong ones are refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluice_operator.api.allowed_routes import Allowed, AllowedRoutes
from sluice_operator.api.allowed_trust import TrustLimit
from sluice_operator.api.spec import Trust
from sluice_operator.settings import Settings, read

REQUIRED = {
    "SLUICE_SERVER_IMAGE": "registry.example/server:1",
    "SLUICE_TRACKING_URI": "http://mlflow:5000",
    "SLUICE_PROMETHEUS_URL": "http://prometheus:9090",
    "SLUICE_GATEWAY_ADDRESS": "http://traefik",
}
DEFAULTS = Settings("registry.example/server:1", "http://mlflow:5000", "http://prometheus:9090", "http://traefik")


def test_only_four_settings_are_required() -> None:
    """Everything else has a default."""
    assert read(REQUIRED) == DEFAULTS


def test_each_setting_is_read_from_its_variable() -> None:
    """All of them, in the forms that people write."""
    everything = {
        **REQUIRED,
        "SLUICE_GATEWAY_CA": "/etc/sluice/gateway/ca.crt",
        "SLUICE_GATEWAY_HEADERS": "X-Forwarded-Proto: https, Authorization: Basic dTpw",
        "SLUICE_PROBE_TIMEOUT": "2s",
        "SLUICE_SMOKE_TIMEOUT": "1m",
        "SLUICE_PROMETHEUS_CREDENTIALS": "/etc/sluice/prometheus",
        "SLUICE_STORE_URL": "http://sluice-store.sluice-system.svc:8090/",
        "SLUICE_STORE_KEY": "0123456789abcdef\n",
        "SLUICE_REGISTRY_CREDENTIALS": "/etc/sluice/registry",
        "SLUICE_ALLOWED_PROMETHEUS": "*.monitoring.svc:9090, prometheus.example",
        "SLUICE_SCRAPE_INTERVAL": "2s",
        "SLUICE_EVALUATION_INTERVAL": "500ms",
        "SLUICE_TRUSTED_TYPES": "a.B, c.D,",
        "SLUICE_ALLOWED_REGISTRIES": "*.models.svc:5000",
        "SLUICE_ALLOWED_HOSTS": "team-a=*.team-a.example.com, team-* = iris.example.com",
        "SLUICE_ALLOWED_INGRESS_CLASSES": "*=nginx,",
        "SLUICE_ALLOWED_TRUST": "team-a=Code, * = TrustedTypes",
        "SLUICE_SERVER_PYFUNC_IMAGE": "registry.example/server-pyfunc:1",
        "SLUICE_NAMESPACE_SELECTOR": "sluice.dev/shard=a",
        "SLUICE_WORKERS": "9",
        "SLUICE_HEALTH_PORT": "9000",
        "SLUICE_METRICS_PORT": "9001",
        "SLUICE_LOG_LEVEL": "DEBUG",
    }
    assert read(everything) == replace(
        DEFAULTS,
        gateway_ca="/etc/sluice/gateway/ca.crt",
        gateway_headers={"X-Forwarded-Proto": "https", "Authorization": "Basic dTpw"},
        probe_timeout=2.0,
        smoke_timeout=60.0,
        prometheus_credentials="/etc/sluice/prometheus",
        store_url="http://sluice-store.sluice-system.svc:8090",
        store_key="0123456789abcdef",
        registry_credentials="/etc/sluice/registry",
        allowed_prometheus=("*.monitoring.svc:9090", "prometheus.example"),
        scrape_interval=2.0,
        evaluation_interval=0.5,
        trusted_types=("a.B", "c.D"),
        allowed_registries=("*.models.svc:5000",),
        allowed_hosts=(Allowed("team-a", "*.team-a.example.com"), Allowed("team-*", "iris.example.com")),
        allowed_ingress_classes=(Allowed("*", "nginx"),),
        allowed_trust=(TrustLimit("team-a", Trust.CODE), TrustLimit("*", Trust.TRUSTED_TYPES)),
        server_pyfunc_image="registry.example/server-pyfunc:1",
        namespace_selector="sluice.dev/shard=a",
        workers=9,
        health_port=9000,
        metrics_port=9001,
        log_level="debug",
    )


def test_the_two_lists_about_routes_are_used_together() -> None:
    """By the names of their settings."""
    lists = {"SLUICE_ALLOWED_HOSTS": "a=b", "SLUICE_ALLOWED_INGRESS_CLASSES": "c=d"}
    assert read({**REQUIRED, **lists}).allowed_routes == AllowedRoutes((Allowed("a", "b"),), (Allowed("c", "d"),))


def test_the_list_of_trusted_types_can_be_empty() -> None:
    """An empty variable is not the same as no variable."""
    assert read({**REQUIRED, "SLUICE_TRUSTED_TYPES": ""}).trusted_types == ()


def test_namespaces_are_chosen_by_name_or_by_label() -> None:
    """Both together could mean either."""
    both = {"SLUICE_NAMESPACES": "models", "SLUICE_NAMESPACE_SELECTOR": "sluice.dev/shard=a"}
    with pytest.raises(ValueError, match="SLUICE_NAMESPACE_SELECTOR and SLUICE_NAMESPACES cannot both be set"):
        read({**REQUIRED, **both})


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_setting_is_named(name: str) -> None:
    """With an example of what to write."""
    with pytest.raises(ValueError, match=rf"{name} is not set: write for example "):
        read({**REQUIRED, name: ""})


@pytest.mark.parametrize("url", ["https://us:secret@prometheus:9090", "https://secret@prometheus", "secret"])
def test_a_url_with_a_password_is_refused_and_not_shown(url: str) -> None:
    """URLs are shown in logs and in status."""
    with pytest.raises(ValueError, match=r"^SLUICE_PROMETHEUS_URL: (the URL holds a user|not an address)") as refused:
        read({**REQUIRED, "SLUICE_PROMETHEUS_URL": url})
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SLUICE_SCRAPE_INTERVAL", "15", "'15' is not a duration"),
        ("SLUICE_SCRAPE_INTERVAL", "0s", "is not above 0"),
        ("SLUICE_EVALUATION_INTERVAL", "0ms", "is not above 0"),
        ("SLUICE_WORKERS", "0", "'0' is not a whole number from 1 to 10000"),
        ("SLUICE_WORKERS", "²", "'²' is not a whole number from 1"),
        ("SLUICE_WORKERS", "9" * 5000, "is not a whole number from 1"),
        ("SLUICE_HEALTH_PORT", "http", "'http' is not a whole number from 1"),
        ("SLUICE_METRICS_PORT", "65536", "'65536' is not a whole number from 1 to 65535"),
        ("SLUICE_SCRAPE_INTERVAL", "99999999999999h", "is longer than 1000 years"),
        ("SLUICE_SCRAPE_INTERVAL", "9" * 5000 + "s", "is longer than 1000 years"),
        ("SLUICE_GATEWAY_ADDRESS", "http://a..b", "'a..b' is no host"),
        (
            "SLUICE_GATEWAY_ADDRESSES",
            "http://public.infra.svc",
            "is not a gateway with its URL: write for example infra",
        ),
        ("SLUICE_GATEWAY_ADDRESSES", "infra/public=", "'infra/public' is not a gateway with its URL"),
        ("SLUICE_GATEWAY_ADDRESSES", "nginx=http://a..b", "'a..b' is no host"),
        ("SLUICE_STORE_URL", "http://store:99999", "there is no port 99999"),
        ("SLUICE_NAMESPACE_SELECTOR", "team=a b", "'team=a b' is no label selector: write for example team=a"),
        ("SLUICE_ALLOWED_HOSTS", "iris.example.com", "'iris.example.com' is not NAMESPACE=PATTERN: write for example"),
        ("SLUICE_ALLOWED_HOSTS", "team-a=", "'team-a=' is not NAMESPACE=PATTERN"),
        ("SLUICE_ALLOWED_HOSTS", "a=b.example.com=c", "is not NAMESPACE=PATTERN"),
        ("SLUICE_ALLOWED_HOSTS", "team-[ab]=iris.example.com", "is not NAMESPACE=PATTERN"),
        ("SLUICE_ALLOWED_HOSTS", "team-a=Iris.example.com", "is not NAMESPACE=PATTERN"),
        ("SLUICE_ALLOWED_INGRESS_CLASSES", "nginx", "write for example team-a=nginx-internal"),
        ("SLUICE_ALLOWED_TRUST", "team-a=All", "'team-a=All' is not NAMESPACE= one of Data, TrustedTypes, Code"),
        ("SLUICE_ALLOWED_TRUST", "Code", "write for example team-a=Code"),
        ("SLUICE_LOG_LEVEL", "loud", "'loud' is none of debug, info, warning, error"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, message: str) -> None:
    """The message has the variable, the value, and what is wrong with it."""
    with pytest.raises(ValueError, match=rf"{name}.*{message}"):
        read({**REQUIRED, name: value})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("secret", "not a list of headers: write for example X-Forwarded-Proto: https"),
        ("Authorization:", "not a list of headers"),
        ("a secret: b", "not a list of headers"),
        ("Host: other.example.com", "Host is set by the operator itself"),
        ("x-sluice-probe: 0", "x-sluice-probe is set by the operator itself"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused_and_not_shown(text: str, message: str) -> None:
    """They may hold a token, which is also left out of the text of the settings."""
    with pytest.raises(ValueError, match=rf"^SLUICE_GATEWAY_HEADERS: {message}") as refused:
        read({**REQUIRED, "SLUICE_GATEWAY_HEADERS": text})
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(read({**REQUIRED, "SLUICE_GATEWAY_HEADERS": "Authorization: secret"}))


def test_a_short_key_of_the_store_is_refused_and_not_shown() -> None:
    """Whoever guesses it can read and replace the models of all namespaces."""
    with pytest.raises(ValueError, match="SLUICE_STORE_KEY: a key needs at least 16 bytes") as refused:
        read({**REQUIRED, "SLUICE_STORE_KEY": "tooshort"})
    assert "tooshort" not in str(refused.value)
    assert "0123456789abcdef" not in repr(read({**REQUIRED, "SLUICE_STORE_KEY": "0123456789abcdef"}))
