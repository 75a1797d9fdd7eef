"""The environment of `run`: one server without an operator, and other names for its variables.

`MODEL_URI` names a model in the registry, `MODEL_PATH` one in a folder, which is also what is served when the registry
does not give one. With `SLUICE_ENV_PREFIX=IRIS_`, variables such as `IRIS_MODEL_PATH` are read, too: services that were
set by such a family of names can be replaced without new settings. Pure.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sluice_server.variables import SettingError, number

# What a variable of the family is called without its prefix, and the variable that it stands for.
_FAMILY: Mapping[str, str] = {
    "MLFLOW_TRACKING_URI": "MLFLOW_TRACKING_URI",
    "MODEL_URI": "MODEL_URI",
    "MODEL_PATH": "MODEL_PATH",
    "RELOAD_INTERVAL": "RELOAD_INTERVAL",
    "API_HOST": "SLUICE_HOST",
    "API_PORT": "SLUICE_CLUSTER_PORT",
    "LOG_LEVEL": "LOG_LEVEL",
    "LOG_FORMAT": "LOG_FORMAT",
    "CORRELATION_ID_HEADER": "CORRELATION_ID_HEADER",
}
_YES = frozenset({"true", "1", "yes", "on"})


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the model is looked for: as `uri` in the registry, then in the folder or file `path`; one may be empty."""

    uri: str
    path: Path | None


def plain(env: Mapping[str, str]) -> dict[str, str]:
    """The environment with the family's variables under the names that they stand for. Raises SettingError.

    A variable that is there without the prefix wins.
    """
    prefix = env.get("SLUICE_ENV_PREFIX", "").strip()
    if not prefix:
        return dict(env)
    family = {meant: env[prefix + name] for name, meant in _FAMILY.items() if env.get(prefix + name)}
    if env.get(f"{prefix}API_DEBUG", "").lower() in _YES:
        family.setdefault("LOG_LEVEL", "DEBUG")
    if env.get(f"{prefix}MLFLOW_USE_REGISTRY", "").lower() in _YES:
        family["MODEL_URI"] = _registered(env, prefix)
    return family | {name: value for name, value in env.items() if value}


def sources(env: Mapping[str, str]) -> Sources:
    """Raises SettingError if the environment names no model."""
    uri, path = env.get("MODEL_URI", "").strip(), env.get("MODEL_PATH", "").strip()
    if not uri and not path:
        raise SettingError(
            "MODEL_URI and MODEL_PATH are not set: name a model, for example MODEL_URI=models:/iris@champion, or "
            "MODEL_PATH=./model, a folder that mlflow.sklearn.save_model has written."
        )
    return Sources(uri, Path(path) if path else None)


def fetching(env: Mapping[str, str]) -> dict[str, str]:
    """The environment that fetching is set by: the model's folder is a temporary one, unless one is named."""
    wanted = env.get("MODEL_URI") or env.get("MODEL_PATH", "")
    port = env.get("SLUICE_CLUSTER_PORT", "8080")
    folder = env.get("SLUICE_MODEL_DIR") or str(Path(tempfile.gettempdir()) / f"sluice-model-{port}")
    outcome = str(Path(folder) / "outcome.json")
    return {"SLUICE_TERMINATION_LOG": outcome, **env, "SLUICE_MODEL_DIR": folder, "SLUICE_MODEL_URI": wanted}


def reload_interval(env: Mapping[str, str]) -> float:
    """Seconds between two looks at what MODEL_URI names; 0 for none. Raises SettingError."""
    seconds = number(env, "RELOAD_INTERVAL", float, 0.0, 0.0, 86_400.0)
    if seconds and not env.get("MODEL_URI", "").strip():
        raise SettingError(
            "RELOAD_INTERVAL is set and MODEL_URI is not: name what is looked up, as models:/iris@champion."
        )
    return seconds


def of_one_version(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that serves one version, which is started by one that looks them up."""
    return {name: value for name, value in env.items() if name not in ("RELOAD_INTERVAL", "SLUICE_ENV_PREFIX")}


def _registered(env: Mapping[str, str], prefix: str) -> str:
    name = env.get(f"{prefix}MLFLOW_REGISTRY_MODEL_NAME", "").strip()
    if not name:
        raise SettingError(f"{prefix}MLFLOW_REGISTRY_MODEL_NAME is not set: {prefix}MLFLOW_USE_REGISTRY needs it.")
    if alias := env.get(f"{prefix}MLFLOW_REGISTRY_ALIAS", "").strip():
        return f"models:/{name}@{alias}"
    return f"models:/{name}/{env.get(f'{prefix}MLFLOW_REGISTRY_STAGE', '').strip() or 'latest'}"
