"""What the environment may say, and what a bad value gets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sluice_server.fetch import folder
from sluice_server.otlp_values import Sampling
from sluice_server.settings import FetchSettings, StoreSettings, Trust, fetch_settings, mlflow_defaults, serve_settings
from sluice_server.variables import SettingError


def test_defaults_are_those_of_the_pod() -> None:
    """An empty environment gives the ports, limits and folders that the docs name."""
    settings = serve_settings({})
    assert (settings.cluster_port, settings.gateway_port, settings.drain_delay) == (8080, 8081, 10.0)
    assert str(settings.model_dir) == "/model"
    assert settings.trusted_types == ()
    assert settings.correlation_header == "X-Correlation-ID"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLUICE_DRAIN_DELAY", "soon"),
        ("SLUICE_DRAIN_DELAY", "-1"),
        ("SLUICE_DRAIN_DELAY", "nan"),
        ("SLUICE_CLUSTER_PORT", "80.5"),
        ("SLUICE_GATEWAY_PORT", "70000"),
        ("SLUICE_MAX_ROWS", "0"),
        ("SLUICE_PREDICTION_LOG_SAMPLE", "2"),
        ("SLUICE_KEEP_PREDICTIONS", "2"),
        ("SLUICE_REVISION", "Not A Revision"),
        ("CORRELATION_ID_HEADER", "X Request: ID"),
        ("SLUICE_RATE_LIMIT", "-1"),
        ("SLUICE_RATE_LIMIT_BURST", "0"),
        ("SLUICE_RATE_LIMIT_HEADER", "X Team"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: str) -> None:
    """A value that cannot be used is refused with a sentence that names its variable and the value."""
    with pytest.raises(SettingError, match=rf"{name} is .*{value.upper() if name == 'LOG_LEVEL' else value}"):
        serve_settings({name: value})


def test_traces_are_off_without_a_collector_and_one_in_a_hundred_with_one() -> None:
    """The caller decides about its own traces. The standard variables can say otherwise."""
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    assert serve_settings({}).tracing is None
    assert serve_settings({"OTEL_TRACES_SAMPLER": "always_on"}).tracing is None
    assert serve_settings(collector | {"OTEL_TRACES_EXPORTER": "none"}).tracing is None
    assert serve_settings(collector | {"OTEL_SDK_DISABLED": "TRUE"}).tracing is None
    assert serve_settings(collector).tracing == Sampling(0.01, True)
    assert serve_settings(collector | {"OTEL_TRACES_SAMPLER_ARG": "0.5"}).tracing == Sampling(0.5, True)
    assert serve_settings(collector | {"OTEL_TRACES_SAMPLER": "always_on"}).tracing == Sampling(1.0, False)
    assert serve_settings(collector | {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}).tracing == Sampling(0.0, True)
    with pytest.raises(SettingError, match=r"OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' is not http/protobuf"):
        serve_settings(collector | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_fetch_needs_a_model() -> None:
    """Without a model there is nothing to fetch, and the sentence shows what one looks like."""
    with pytest.raises(SettingError, match=r"SLUICE_MODEL_URI is not set.*models:/iris/3"):
        fetch_settings({})


def test_trust_is_data_unless_said_otherwise() -> None:
    """The least trust is the default, and an unknown word is refused."""
    assert fetch_settings({"SLUICE_MODEL_URI": "models:/iris/3"}).trust is Trust.DATA
    with pytest.raises(SettingError, match="SLUICE_TRUST is 'Everything'"):
        fetch_settings({"SLUICE_MODEL_URI": "models:/iris/3", "SLUICE_TRUST": "Everything"})


def test_the_operator_s_list_of_types_is_empty_unless_it_is_set() -> None:
    """It adds to the types that are safe in any file."""
    assert serve_settings({}).trusted_types == serve_settings({"SLUICE_TRUSTED_TYPES": ""}).trusted_types == ()
    assert serve_settings({"SLUICE_TRUSTED_TYPES": "a.B, c.D"}).trusted_types == ("a.B", "c.D")


def test_the_registry_s_authority_is_used_if_its_secret_has_one(tmp_path: Path) -> None:
    """MLflow's client reads the path of a file."""
    authority = tmp_path / "ca.crt"
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" not in mlflow_defaults(authority)
    authority.write_text("certificate")
    assert mlflow_defaults(authority)["MLFLOW_TRACKING_SERVER_CERT_PATH"] == str(authority)


def store_settings(**env: str) -> FetchSettings:
    return fetch_settings({"SLUICE_MODEL_URI": "models:/iris/3", "SLUICE_STORE_TOKEN_FILE": "/nowhere"} | env)


def test_a_store_is_used_where_its_address_is() -> None:
    """By each command; no slash at the end is needed or minded."""
    env = {"SLUICE_STORE_URL": "http://store:8090/", "SLUICE_STORE_TOKEN_FILE": "/run/token"}
    expected = StoreSettings("http://store:8090", Path("/run/token"))
    assert store_settings(**env).store == serve_settings(env).store == expected
    assert (store_settings().store, serve_settings({}).store) == (None, None)
    assert store_settings(**env, SLUICE_PEER_URL="http://iris:8080").peer == replace(expected, url="http://iris:8080")


@pytest.mark.parametrize(("said", "is_open"), [("", False), ("false", False), ("true", True), ("True", True)])
def test_a_store_is_open_only_where_that_is_said(said: str, is_open: bool) -> None:
    """No token does not mean that none is needed."""
    found = serve_settings({"SLUICE_STORE_URL": "http://store", "SLUICE_STORE_OPEN": said}).store
    assert found is not None
    assert found.is_open is is_open


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"SLUICE_STORE_URL": "http://store", "SLUICE_STORE_OPEN": "yes"}, "SLUICE_STORE_OPEN is 'yes'"),
        ({"SLUICE_STORE_URL": "store:8090"}, "SLUICE_STORE_URL is no address"),
        ({"SLUICE_STORE_URL": "http://user:verysecret@store"}, "without a user"),
        (
            {"SLUICE_STORE_URL": "http://store", "SLUICE_MODEL_DIGEST": "sha256:12"},
            "SLUICE_MODEL_DIGEST is 'sha256:12'",
        ),
        ({"SLUICE_MODEL_DIGEST": f"sha256:{'0' * 64}"}, "SLUICE_STORE_URL is not"),
    ],
)
def test_what_says_no_store_is_refused(env: dict[str, str], told: str) -> None:
    """A digest without a store must not become a fetch from MLflow; a password in an address is not repeated."""
    with pytest.raises(SettingError, match=told) as refused:
        store_settings(**env)
    assert "verysecret" not in str(refused.value)


def test_predictions_are_kept_in_a_store_only() -> None:
    """Who sets a share and no store would wait for data that never comes."""
    kept = {"SLUICE_KEEP_PREDICTIONS": "0.1"}
    assert serve_settings(kept | {"SLUICE_STORE_URL": "http://store:8090"}).keep_predictions == 0.1
    with pytest.raises(SettingError, match="SLUICE_KEEP_PREDICTIONS is set and SLUICE_STORE_URL is not"):
        serve_settings(kept)


def test_a_folder_of_other_files_is_not_emptied(tmp_path: Path) -> None:
    """Who names the wrong folder loses nothing; what an earlier try left is removed."""
    (tmp_path / "home" / "thesis").mkdir(parents=True)
    with pytest.raises(SettingError, match="holds 'thesis' and no model"):
        folder.empty(tmp_path / "home")
    (tmp_path / "model" / "files").mkdir(parents=True)
    (tmp_path / "model" / "left-over").write_text("x")
    folder.empty(tmp_path / "model")
    assert list((tmp_path / "model").iterdir()) == []
