"""What a server without an operator is told by its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice_server import run_environment
from sluice_server.run_environment import Sources
from sluice_server.settings import fetch_settings, serve_settings
from sluice_server.variables import SettingError

REGISTRY = {"IRIS_MLFLOW_USE_REGISTRY": "true", "IRIS_MLFLOW_REGISTRY_MODEL_NAME": "iris-classifier"}


def read(env: dict[str, str]) -> Sources:
    return run_environment.sources(run_environment.plain({"SLUICE_ENV_PREFIX": "IRIS_"} | env))


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"MODEL_URI": "models:/iris/3"}, Sources("models:/iris/3", None)),
        ({"IRIS_MODEL_PATH": "artifacts/model"}, Sources("", Path("artifacts/model"))),
        (REGISTRY, Sources("models:/iris-classifier/latest", None)),
        (
            REGISTRY | {"IRIS_MLFLOW_REGISTRY_STAGE": "Production", "IRIS_MODEL_PATH": "m"},
            Sources("models:/iris-classifier/Production", Path("m")),
        ),
        (REGISTRY | {"IRIS_MLFLOW_REGISTRY_ALIAS": "champion"}, Sources("models:/iris-classifier@champion", None)),
        (REGISTRY | {"MODEL_URI": "models:/rose/1"}, Sources("models:/rose/1", None)),
        (REGISTRY | {"IRIS_MLFLOW_USE_REGISTRY": "false", "MODEL_PATH": "m"}, Sources("", Path("m"))),
    ],
)
def test_the_model_is_named_as_the_guides_do(env: dict[str, str], expected: Sources) -> None:
    """By one variable or by the family with its prefix; a variable without the prefix wins."""
    assert read(env) == expected


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({}, "MODEL_URI and MODEL_PATH are not set"),
        ({"IRIS_MLFLOW_USE_REGISTRY": "true"}, "IRIS_MLFLOW_REGISTRY_MODEL_NAME is not set"),
    ],
)
def test_a_model_that_is_not_named_is_asked_for(env: dict[str, str], sentence: str) -> None:
    """With the variables to set."""
    with pytest.raises(SettingError, match=sentence):
        read(env)


def test_the_rest_of_the_family_sets_the_server() -> None:
    """Address, port, registry and log; without a prefix nothing of it is read."""
    family = {"IRIS_API_PORT": "8000", "IRIS_API_HOST": "127.0.0.1", "IRIS_API_DEBUG": "true", "IRIS_MODEL_PATH": "m"}
    env = run_environment.plain(
        family | {"SLUICE_ENV_PREFIX": "IRIS_", "IRIS_MLFLOW_TRACKING_URI": "http://mlflow:5000"}
    )
    serving = serve_settings(env)
    assert (serving.cluster_port, serving.host, serving.log.level) == (8000, "127.0.0.1", "DEBUG")
    assert env["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"
    assert fetch_settings(run_environment.fetching(env)).model_dir.name == "sluice-model-8000"
    assert serve_settings(run_environment.plain(family)).cluster_port == 8080


def test_the_interval_of_reloading_needs_something_to_look_up() -> None:
    """Off by default; in the family, too. Who serves one version is not told of it."""
    assert run_environment.reload_interval({"MODEL_PATH": "m"}) == 0
    env = run_environment.plain(
        {"SLUICE_ENV_PREFIX": "IRIS_", "IRIS_RELOAD_INTERVAL": "30", "MODEL_URI": "models:/iris@x"}
    )
    assert run_environment.reload_interval(env) == 30
    assert run_environment.of_one_version(env) == {"IRIS_RELOAD_INTERVAL": "30", "MODEL_URI": "models:/iris@x"}
    for wrong in (
        {"RELOAD_INTERVAL": "30", "MODEL_PATH": "m"},
        {"RELOAD_INTERVAL": "soon", "MODEL_URI": "models:/i/1"},
    ):
        with pytest.raises(SettingError, match="RELOAD_INTERVAL is"):
            run_environment.reload_interval(wrong)
