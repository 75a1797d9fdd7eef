"""What MLflow's API answers, as typed values. Pure.

Whoever may write to a registry, or runs one, chooses these texts, and they go into status and into pods. So each has a
kind and a length, and none holds what is no text for people, such as a control character.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

_TEXT = r"[^\x00-\x1f\x7f\ud800-\udfff]"
Text = Annotated[str, Meta(max_length=4_000, pattern=f"^{_TEXT}*$")]
Name = Annotated[str, Meta(max_length=256, pattern=r"^[^/:\x00-\x1f\x7f\ud800-\udfff]+$")]
Version = Annotated[str, Meta(max_length=64, pattern=r"^[0-9A-Za-z._-]+$")]


class ModelVersion(msgspec.Struct, frozen=True):
    name: Name
    version: Version | Annotated[int, Meta(ge=0)]
    status: Text = "READY"
    run_id: Text | None = None
    source: Text | None = None
    current_stage: Text | None = None


class OneVersion(msgspec.Struct, frozen=True):
    model_version: ModelVersion


class Versions(msgspec.Struct, frozen=True):
    model_versions: tuple[ModelVersion, ...] = ()


class Alias(msgspec.Struct, frozen=True):
    alias: str
    version: str | int


class RegisteredModel(msgspec.Struct, frozen=True):
    name: str
    creation_timestamp: int | str = ""
    aliases: tuple[Alias, ...] = ()


class RegisteredModels(msgspec.Struct, frozen=True):
    """One page. `next_page_token`: empty on the last one."""

    registered_models: tuple[RegisteredModel, ...] = ()
    next_page_token: str = ""


class LoggedModelInfo(msgspec.Struct, frozen=True):
    name: Text | None = None
    source_run_id: Text | None = None


class LoggedModel(msgspec.Struct, frozen=True):
    info: LoggedModelInfo


class OneLoggedModel(msgspec.Struct, frozen=True):
    model: LoggedModel


class RunInfo(msgspec.Struct, frozen=True):
    run_name: Text | None = None


class Metric(msgspec.Struct, frozen=True):
    key: str
    value: float | str  # MLflow writes "NaN" as text


class Tag(msgspec.Struct, frozen=True):
    key: str
    value: str = ""


class RunData(msgspec.Struct, frozen=True):
    metrics: tuple[Metric, ...] = ()
    tags: tuple[Tag, ...] = ()


class Run(msgspec.Struct, frozen=True):
    info: RunInfo = RunInfo()
    data: RunData = RunData()


class OneRun(msgspec.Struct, frozen=True):
    run: Run
