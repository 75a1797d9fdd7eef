"""Versions that MLflow has: which one a URI names, and how it did on its hold-out."""

import re

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from requests.exceptions import RequestException

from sluice_trainer import hold_out, registry
from sluice_trainer.errors import UnusableError
from sluice_trainer.registry import Version

_URI = re.compile(r"models:/(?P<name>[^/:@]+)(?:/(?P<version>\d+)|@(?P<alias>[\w-]+))")
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow's answers for a version, and for an alias


def name_in(uri: str) -> str:
    """The registered model in a URI. Raises UnusableError."""
    return _parts(uri)["name"] or ""


def resolve(uri: str) -> Version:
    """The version that a URI names now: `models:/NAME/VERSION` or `models:/NAME@ALIAS`. Raises UnusableError."""
    parts, client = _parts(uri), MlflowClient()
    try:
        if parts["alias"]:
            found = client.get_model_version_by_alias(parts["name"], parts["alias"])
        else:
            found = client.get_model_version(parts["name"], parts["version"])
    except (MlflowException, RequestException) as trouble:
        if isinstance(trouble, MlflowException) and trouble.error_code in _MISSING:
            raise UnusableError(
                f"{uri} names no version in MLflow: name one that is there, or set the alias on it "
                "(`python -m sluice_trainer train --alias` does)"
            ) from None
        raise registry.unavailable(trouble) from trouble
    return Version(found.name, str(found.version), found.run_id or "")


def result(version: Version) -> hold_out.HoldOut:
    """Which rows of its hold-out a version had right, as its run says. Raises UnusableError."""
    hint = "train it with `python -m sluice_trainer train`, or log the tags that docs/trainer.md describes"
    if not version.run_id:
        raise UnusableError(f"{version.uri} has no run, and so no hold-out: {hint}")
    try:
        run = MlflowClient().get_run(version.run_id)
    except (MlflowException, RequestException) as trouble:
        raise registry.unavailable(trouble) from trouble
    try:
        return hold_out.read(run.data.tags, run.data.metrics)
    except hold_out.UnreadableError as error:
        raise UnusableError(f"the run of {version.uri} {error}: {hint}") from None


def _parts(uri: str) -> dict[str, str | None]:
    match = _URI.fullmatch(uri)
    if match is None:
        raise UnusableError(f"'{uri}' names no version: write models:/NAME/VERSION or models:/NAME@ALIAS")
    return match.groupdict()
