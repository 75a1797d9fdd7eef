"""The MLflow side of `fetch`: where a pinned model's files are, what they are called, and their bytes.

A thin shell over mlflow-skinny that turns its exceptions into values: `Refused` when the registry answered that there
is no such thing, `Unavailable` when it did not answer or not sensibly. The two are never mixed up. What may
hang is asked with `patience`.
"""

from __future__ import annotations

import logging
import math
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException, RestException
from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry, get_artifact_repository

from sluice_server.fetch import registry_login
from sluice_server.fetch.bucket_words import BucketError, BucketLoginError
from sluice_server.fetch.outcome import Unavailable
from sluice_server.fetch.patience import patient, size
from sluice_server.fetch.preflight import MAX_FILES, ListedFile
from sluice_server.model.origin import ACCURACY_NAMES, TRAINING_SECONDS, Origin
from sluice_server.model.refusal import Refused
from sluice_server.store.steady import LEAST

_VERSION = re.compile(r"models:/(?P<name>[^/:]+)/(?P<version>[0-9]+)")
_LOGGED_MODEL = re.compile(r"models:/(?P<id>m-[0-9a-fA-F]+)")
_NOT_THERE = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
_LOGIN_REFUSED = {"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED"}
_NAMED = re.compile(r"models:/(?P<name>[^/:@]+)(@(?P<alias>[^/:@]+)|/(?P<which>[0-9]+|[A-Za-z]+))")
_RUN = re.compile(r"runs:/(?P<id>[^/]+)/(?P<path>.+)")
_MOST_METRICS = 100  # of a run; more are not worth their place in each pod
_GIT_COMMIT = "mlflow.source.git.commit"


logger = logging.getLogger("sluice.fetch")


def _bucket(artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> Any:
    from sluice_server.fetch.bucket import Bucket  # noqa: PLC0415 - most models are not in a bucket

    return Bucket(artifact_uri, tracking_uri, registry_uri)


_artifact_repository_registry.register("s3", _bucket)  # also for what is behind `models:` and `runs:`
registry_login.keep_to_own_hosts()  # for these, too


@dataclass(frozen=True, slots=True)
class Artifacts:
    """A model's files at their place; `repository` is MLflow's, for whichever store they are in."""

    repository: Any
    uri: str


@dataclass(frozen=True, slots=True)
class Pinned:
    """A model that is one for ever: its URI, and name and version where the registry has them."""

    uri: str
    name: str
    version: str


def pin(uri: str) -> Pinned | Refused | Unavailable:
    """The version that an alias, a stage, `latest` or a number names now; other URIs name one model themselves."""
    match = _NAMED.fullmatch(uri)
    if not match:
        return Pinned(uri, "", "")
    try:
        version = patient(lambda: _version_of(match["name"], match["alias"], match["which"]))
    except (MlflowException, OSError) as error:
        if getattr(error, "error_code", "") in _NOT_THERE:
            return Refused("ModelNotFound", f"the registry has no {uri}: {_brief(error)}")
        return _unavailable("RegistryUnreachable", f"no answer from the registry for {uri}", error)
    if version is None:
        return Refused("ModelNotFound", f"the registry has no {uri}: no version of it is in that stage")
    return Pinned(f"models:/{match['name']}/{version}", match["name"], version)


def _version_of(name: str, alias: str | None, which: str) -> str | None:
    client = MlflowClient()
    if alias:
        return str(client.get_model_version_by_alias(name, alias).version)
    if which.isdigit():
        return which
    if which.lower() == "latest":
        found = client.search_model_versions(f"name='{name}'")
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # stages go away some day, and people still use them
            found = client.get_latest_versions(name, stages=[which])
    return max((str(version.version) for version in found), key=int, default=None)


def local(path: str) -> Artifacts | Refused:
    """The files of a model in a folder of this machine; `path` may also be a file of it."""
    folder = next((folder for folder in (Path(path), Path(path).parent) if (folder / "MLmodel").is_file()), None)
    if folder is None:
        return Refused(
            "NoMLmodel",
            f"there is no file MLmodel in or beside {path}: name a folder that mlflow.<flavor>.save_model has written",
        )
    return Artifacts(get_artifact_repository(folder.absolute().as_uri()), str(folder))


def locate(uri: str) -> Artifacts | Refused | Unavailable:
    """Where the files of `models:/name/3`, `models:/m-<id>` or `runs:/<run>/<path>` are."""
    try:
        place = patient(lambda: _artifact_uri(uri))
        if place is None:
            return Refused(
                "BadModelURI",
                f"{uri!r} is not a pinned model: write models:/<name>/<version>, models:/m-<id> or runs:/<run>/<path>",
            )
    except RestException as error:
        return _not_served(uri, error)
    except (MlflowException, OSError) as error:
        return _unavailable("RegistryUnreachable", f"no answer from the registry for {uri}", error)
    return _at(place)


def _at(place: str) -> Artifacts | Refused | Unavailable:
    """The files at a place. Some clients of object stores are missed here, the others when files are listed."""
    try:
        return Artifacts(patient(lambda: get_artifact_repository(place)), place)
    except ImportError as error:
        return _unsupported(place, error)
    except RestException as error:  # the place of a run's model is asked for here
        return _not_served(place, error)
    except BucketError as error:
        return _unavailable("ArtifactsUnreachable", f"the files at {place} cannot be read", error)
    except (MlflowException, OSError) as error:
        if isinstance(error, MlflowException) and "registered artifact repository" in str(error):
            scheme = place.partition(":")[0]
            hint = "start MLflow with --serve-artifacts, or move the files"
            return Refused("UnsupportedStore", f"MLflow knows no store for {scheme}: addresses such as {place}: {hint}")
        return _unavailable("RegistryUnreachable", f"no answer from the registry for {place}", error)


def list_files(artifacts: Artifacts) -> tuple[ListedFile, ...] | Unavailable | Refused:
    """All files of the artefact, folders walked; stops one file after the limit of the preflight."""
    files = list[ListedFile]()
    try:
        walked = islice(_walk(artifacts.repository, None), MAX_FILES + 1)
        patient(lambda: files.extend(walked), lambda: LEAST * len(files))
        return tuple(files)
    except ImportError as error:  # the client of an object store that MLflow does not stand in front of
        return _unsupported(artifacts.uri, error)
    except (MlflowException, OSError) as error:  # HTTP errors of requests are OSErrors
        return _unavailable("ArtifactsUnreachable", f"the files at {artifacts.uri} cannot be listed", error)


def download(artifacts: Artifacts, paths: Iterable[str], target: Path) -> Unavailable | None:
    """Puts the named files below `target`; the names were checked before."""
    for path in paths:
        try:
            patient(partial(artifacts.repository.download_artifacts, path, str(target)), lambda: size(target))
        except (MlflowException, OSError) as error:
            return _unavailable("ArtifactsUnreachable", f"{path} at {artifacts.uri} cannot be read", error)
    return None


def origin_of(uri: str, run_id: str | None) -> Origin | Unavailable:
    """How the model was made; `run_id` is the run that MLmodel names. Without an answer about a run it says nothing."""
    try:
        run_id = run_id or patient(lambda: _run_of(uri))
        return _origin(patient(lambda: MlflowClient().get_run(run_id))) if run_id else Origin()
    except (MlflowException, OSError) as error:
        if getattr(error, "error_code", "") in {*_NOT_THERE, *_LOGIN_REFUSED}:  # deleted, or only its models are shown
            logger.warning("the run of %s cannot be read: %s", uri, _brief(error))
            return Origin(run_id or "")
        return _unavailable("RegistryUnreachable", f"no answer from the registry for the run of {uri}", error)


def _run_of(uri: str) -> str | None:
    if match := _VERSION.fullmatch(uri):
        run_id = MlflowClient().get_model_version(match["name"], match["version"]).run_id
        return None if run_id is None else str(run_id)
    match = _RUN.fullmatch(uri)
    return match["id"] if match else None


def _origin(run: Run) -> Origin:
    numbers = {name: value for name, value in sorted(run.data.metrics.items()) if math.isfinite(value)}
    wanted = [*(name for name in (*ACCURACY_NAMES, TRAINING_SECONDS) if name in numbers), *numbers]
    kept = {name: numbers[name] for name in dict.fromkeys(wanted[:_MOST_METRICS])}
    return Origin(run.info.run_id, str(run.data.tags.get(_GIT_COMMIT, "")), kept)


def _artifact_uri(uri: str) -> str | None:
    if match := _VERSION.fullmatch(uri):
        return str(MlflowClient().get_model_version_download_uri(match["name"], match["version"]))
    if match := _LOGGED_MODEL.fullmatch(uri):
        return str(MlflowClient().get_logged_model(match["id"]).artifact_location)
    match = _RUN.fullmatch(uri)
    return (_logged_by(match["id"], match["path"]) or uri) if match else None


def _logged_by(run_id: str, name: str) -> str | None:
    """Where the files of the model are that the run has logged under this name. Since MLflow 3 not among its own.

    MLflow's client finds them, but lists them with another path than it takes.
    """
    client = MlflowClient()
    outputs = client.get_run(run_id).outputs
    for made in reversed(outputs.model_outputs if outputs else ()):
        try:
            model = client.get_logged_model(made.model_id)
        except RestException as error:
            if error.error_code not in _NOT_THERE:
                raise
            continue  # it was deleted
        if model.name == name:
            return str(model.artifact_location)
    return None


def _walk(repository: Any, folder: str | None) -> Iterator[ListedFile]:
    for entry in repository.list_artifacts(folder):
        if entry.is_dir:
            yield from _walk(repository, entry.path)
        else:
            yield ListedFile(entry.path, entry.file_size)


def _not_served(uri: str, error: RestException) -> Refused | Unavailable:
    """The registry answered, and not with a model."""
    if error.error_code in _NOT_THERE:
        return Refused("ModelNotFound", f"the registry has no {uri}: {_brief(error)}")
    return _unavailable("RegistryUnreachable", f"the registry did not serve {uri}", error)


def _unsupported(place: str, error: ImportError) -> Refused:
    hint = "start MLflow with --serve-artifacts, or use an image with that package"
    return Refused("UnsupportedStore", f"the files at {place} need {error.name}, which is not here: {hint}")


def _unavailable(reason: str, what: str, error: Exception) -> Unavailable:
    """A login that is refused is told as that: it is no outage, and another try helps when it was corrected."""
    if isinstance(error, BucketLoginError):
        hint = "correct the Secret that model.registry.artifactSecret names, or name one"
        return Unavailable("ArtifactsLoginRefused", f"{what}, the login is refused ({_brief(error)}): {hint}")
    answer = getattr(error, "response", None)  # of errors of requests
    status = getattr(answer, "status_code", None)
    if status in (401, 403) or getattr(error, "error_code", "") in _LOGIN_REFUSED:
        hint = "correct the Secret that model.registry.credentialsSecret names, or name one"
        if (url := getattr(answer, "url", None)) and not registry_login.is_own(url):
            hint = registry_login.OTHER_HOST
        return Unavailable("RegistryLoginRefused", f"{what}, the login is refused ({_brief(error)}): {hint}")
    return Unavailable(reason, f"{what}: {_brief(error)}")


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
