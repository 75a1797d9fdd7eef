"""The grammar of model URIs. Nothing is asked of MLflow here: a form says what to ask. Pure."""

import re
from dataclasses import dataclass

from sluice_operator.api.spec import NameKind
from sluice_operator.api.status import Alias

STAGES = ("Staging", "Production", "Archived", "None")


@dataclass(frozen=True, slots=True)
class ByVersion:
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ByAlias:
    name: str
    alias: str

    def __str__(self) -> str:
        return f"alias {self.alias} of {self.name}"


@dataclass(frozen=True, slots=True)
class ByStage:
    name: str
    stage: str

    def __str__(self) -> str:
        return f"stage {self.stage} of {self.name}"


@dataclass(frozen=True, slots=True)
class LoggedModel:
    id: str


@dataclass(frozen=True, slots=True)
class RunModel:
    run_id: str
    path: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """None of the known forms; `message` says what to write."""

    message: str


Named = ByAlias | ByStage  # what names one version of a model, and another one later
ModelUri = ByVersion | ByAlias | ByStage | LoggedModel | RunModel | Unreadable

_FORMS = "write models:/NAME@ALIAS, models:/NAME/VERSION, models:/NAME/latest, models:/m-ID or runs:/RUN/PATH"


def of_alias(alias: Alias) -> Named:
    """What the last promotion moves."""
    form = ByStage if alias.kind is NameKind.STAGE else ByAlias
    return form(alias.model, alias.name)


def parse(uri: str) -> ModelUri:
    """The form of `uri`. MLflow treats `latest` as an alias that every registered model has."""
    if match := re.fullmatch(r"runs:/([0-9a-zA-Z]+)/(/*[^/].*)", uri):
        return RunModel(match[1], match[2].strip("/"))
    if not uri.startswith("models:/"):
        return Unreadable(f"{uri!r} is neither in the registry nor a run's: {_FORMS}")
    rest = uri.removeprefix("models:/").strip("/")
    if re.fullmatch(r"m-[0-9a-f]+", rest):
        return LoggedModel(rest)
    if "/" not in rest:
        name, _, alias = rest.rpartition("@")
        return ByAlias(name, alias) if name and alias else Unreadable(f"{uri!r} names no version: {_FORMS}")
    name, _, last = rest.partition("/")
    if "/" in last or not name or not last:
        return Unreadable(f"{uri!r} has too many or empty parts: {_FORMS}")
    if last.isdigit():
        return ByVersion(name, last)
    if last.lower() == "latest":
        return ByAlias(name, "latest")
    for stage in STAGES:
        if stage.lower() == last.lower():
            return ByStage(name, stage)
    return Unreadable(f"{last!r} is no version and no stage; for the alias write models:/{name}@{last}")
