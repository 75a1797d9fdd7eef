"""The environment, read once into frozen values. A value that cannot be used raises `SettingError`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SHORTEST_KEY = 16  # bytes; with an empty one anybody could make tokens
SHORTEST_AGE = 7 * 86_400  # seconds, of models
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class SettingError(ValueError):
    """A variable of the environment that cannot be used; the message names it and says what to write."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the service needs. Sizes are in bytes, times in seconds. Without a key everybody may do everything."""

    host: str
    port: int
    files_url: str
    database_url: str = field(repr=False)  # may hold a password
    key: bytes | None = field(repr=False)
    max_model: int
    max_namespace: int  # of models; 0 is no limit
    model_max_age: int  # 0 is for ever
    max_runs: int  # bytes, of a namespace; 0 is no limit
    run_max_age: int  # 0 is for ever
    max_predictions: int  # of a namespace; 0 is no limit
    prediction_max_age: int
    max_labels: int  # bytes, of a namespace; 0 is no limit
    label_max_age: int
    log_level: str


def read(env: Mapping[str, str]) -> Settings:
    """The settings; raises SettingError."""
    return Settings(
        host=env.get("SLUICE_STORE_HOST", "0.0.0.0"),  # noqa: S104 - a pod is reached at its own address
        port=_number(env, "SLUICE_STORE_PORT", 8090, 0, 65535),
        files_url=env.get("SLUICE_STORE_FILES_URL", "").strip() or "file:///var/lib/sluice-store",
        database_url=env.get("SLUICE_STORE_DATABASE_URL", "").strip() or "sqlite:////var/lib/sluice-store/labels.db",
        key=_key(env),
        max_model=_number(env, "SLUICE_STORE_MAX_MODEL_BYTES", 10 * 2**30, 2**20, 2**50),
        max_namespace=_number(env, "SLUICE_STORE_MAX_NAMESPACE_BYTES", 0, 0, 2**60),
        model_max_age=_model_age(env),
        max_runs=_number(env, "SLUICE_STORE_MAX_RUN_BYTES", 2**30, 0, 2**60),
        run_max_age=_number(env, "SLUICE_STORE_RUN_MAX_AGE", 365 * 86_400, 0, 3660 * 86_400),
        max_predictions=_number(env, "SLUICE_STORE_MAX_PREDICTION_BYTES", 2**30, 0, 2**60),
        prediction_max_age=_number(env, "SLUICE_STORE_PREDICTION_MAX_AGE", 30 * 86_400, 3_600, 3660 * 86_400),
        max_labels=_number(env, "SLUICE_STORE_MAX_LABEL_BYTES", 4 * 2**30, 0, 2**60),
        label_max_age=_number(env, "SLUICE_STORE_LABEL_MAX_AGE", 30 * 86_400, 60, 3660 * 86_400),
        log_level=_level(env),
    )


def _key(env: Mapping[str, str]) -> bytes | None:
    is_open = env.get("SLUICE_STORE_OPEN", "").strip().lower() or "false"
    if is_open not in {"true", "false"}:
        raise SettingError(f"SLUICE_STORE_OPEN is {is_open!r}: it must be true or false.")
    if is_open == "true":
        return None
    file = Path(env.get("SLUICE_STORE_KEY_FILE", "/etc/sluice/store/key"))
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        raise SettingError(
            f"SLUICE_STORE_KEY_FILE is {str(file)!r}, which cannot be read ({error.strerror}): put random bytes there, "
            "for example those of `openssl rand -hex 32`, or set SLUICE_STORE_OPEN=true if everybody who reaches the "
            "store may read and write all of it."
        ) from None
    if len(key) < SHORTEST_KEY:
        raise SettingError(f"SLUICE_STORE_KEY_FILE is {str(file)!r}: a key needs at least {SHORTEST_KEY} bytes.")
    return key


def _number(env: Mapping[str, str], name: str, default: int, lowest: int, highest: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and lowest <= int(text) <= highest):
        raise SettingError(f"{name} is {text!r}: it must be a whole number from {lowest} to {highest}.")
    return int(text)


def _model_age(env: Mapping[str, str]) -> int:
    name = "SLUICE_STORE_MODEL_MAX_AGE"
    age = _number(env, name, 90 * 86_400, 0, 3660 * 86_400)
    if 0 < age < SHORTEST_AGE:
        raise SettingError(
            f"{name} is {age}: it must be at least {SHORTEST_AGE} (7 days), because pods tell each day which model "
            "they use, or 0, which keeps models for ever."
        )
    return age


def _level(env: Mapping[str, str]) -> str:
    level = env.get("LOG_LEVEL", "").strip().upper() or "INFO"
    if level not in _LEVELS:
        raise SettingError(f"LOG_LEVEL is {level!r}: it must be one of {', '.join(_LEVELS)}.")
    return level
