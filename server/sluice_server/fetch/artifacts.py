"""The MLflow side of `fetch`: where a pinned model's files are, what they are called, and their bytes.

A thin shell over mlflow-skinny that turns its exceptions into values: `Refused` when the registry answered that there
is no such thing, `Unavailable` when it did not answer or not sensibly. The two are never mixed up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException, RestException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from sluice_server.fetch.outcome import Unavailable
from sluice_server.fetch.preflight import MAX_FILES, ListedFile
from sluice_server.model.refusal import Refused

_VERSION = re.compile(r"models:/(?P<name>[^/:]+)/(?P<version>[0-9]+)")
_LOGGED_MODEL = re.compile(r"models:/(?P<id>m-[0-9a-fA-F]+)")
_RUN = re.compile(r"runs:/[^/]+/.+")


@dataclass(frozen=True, slots=True)
class Artifacts:
    """A model's files at their place; `repository` is MLflow's, for whichever store they are in."""

    repository: Any
    uri: str


def locate(uri: str) -> Artifacts | Refused | Unavailable:
    """Where the files of `models:/name/3`, `models:/m-<id>` or `runs:/<run>/<path>` are."""
    try:
        place = _artifact_uri(uri)
        if place is None:
            return Refused(
                "BadModelURI",
                f"{uri!r} is not a pinned model: write models:/<name>/<version>, models:/m-<id> or runs:/<run>/<path>",
            )
        return Artifacts(get_artifact_repository(place), place)
    except RestException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return Refused("ModelNotFound", f"the registry has no {uri}: {_brief(error)}")
        return Unavailable("RegistryUnreachable", f"the registry did not serve {uri}: {_brief(error)}")
    except (MlflowException, OSError) as error:
        return Unavailable("RegistryUnreachable", f"no answer from the registry for {uri}: {_brief(error)}")


def list_files(artifacts: Artifacts) -> tuple[ListedFile, ...] | Unavailable | Refused:
    """All files of the artefact, folders walked; stops one file after the limit of the preflight."""
    try:
        files = []
        for file in _walk(artifacts.repository, None):
            files.append(file)
            if len(files) > MAX_FILES:
                break
        return tuple(files)
    except ImportError as error:  # the client of an object store that MLflow does not stand in front of
        hint = "start MLflow with --serve-artifacts, or use an image with that package"
        return Refused("UnsupportedStore", f"the files at {artifacts.uri} need {error.name}, which is not here: {hint}")
    except (MlflowException, OSError) as error:  # HTTP errors of requests are OSErrors
        return Unavailable("ArtifactsUnreachable", f"the files at {artifacts.uri} cannot be listed: {_brief(error)}")


def download(artifacts: Artifacts, paths: Iterable[str], target: Path) -> Unavailable | None:
    """Puts the named files below `target`; the names were checked before."""
    for path in paths:
        try:
            artifacts.repository.download_artifacts(path, str(target))
        except (MlflowException, OSError) as error:
            return Unavailable("ArtifactsUnreachable", f"{path} at {artifacts.uri} cannot be read: {_brief(error)}")
    return None


def _artifact_uri(uri: str) -> str | None:
    if match := _VERSION.fullmatch(uri):
        return str(MlflowClient().get_model_version_download_uri(match["name"], match["version"]))
    if match := _LOGGED_MODEL.fullmatch(uri):
        return str(MlflowClient().get_logged_model(match["id"]).artifact_location)
    return uri if _RUN.fullmatch(uri) else None


def _walk(repository: Any, folder: str | None) -> Iterator[ListedFile]:
    for entry in repository.list_artifacts(folder):
        if entry.is_dir:
            yield from _walk(repository, entry.path)
        else:
            yield ListedFile(entry.path, entry.file_size)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
