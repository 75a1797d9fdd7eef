"""Loads the version that serves, to judge a candidate beside it. Its files are data: nothing of them is executed."""

import tempfile
from pathlib import Path
from typing import Any

import mlflow
import skops.io
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from requests.exceptions import RequestException
from skops.io.exceptions import UntrustedTypesFoundException

from sluice_trainer import forest, registry
from sluice_trainer.data import Dataset
from sluice_trainer.errors import UnusableError
from sluice_trainer.registry import Version


def load(version: Version) -> Any:
    """The estimator of a version that this trainer has logged. Raises UnusableError."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = mlflow.artifacts.download_artifacts(version.uri, dst_path=folder)
            flavor = Model.load(path).flavors.get("sklearn", {})
            if flavor.get("serialization_format") != "skops":
                raise _unlike(version, "is not logged as skops")
            return skops.io.load(Path(path) / flavor["pickled_model"], trusted=registry.TRUSTED_TYPES)
        except UntrustedTypesFoundException as error:
            raise _unlike(version, f"has types that are not trusted: {error}") from None
        except (MlflowException, RequestException, OSError) as trouble:
            raise registry.unavailable(trouble) from trouble


def score(model: Any, version: Version, rows: Dataset) -> forest.Score:
    """Which of the rows it has right. Raises UnusableError for a model of other features or classes."""
    classes = getattr(model, "classes_", None)
    if classes is None or list(classes) != list(range(len(rows.class_names))):
        raise _unlike(version, f"does not have the classes 0 to {len(rows.class_names) - 1}")
    try:
        return forest.score(model, rows)
    except ValueError as error:
        raise _unlike(version, f"does not take the features ({str(error).splitlines()[0]})") from None


def _unlike(version: Version, what: str) -> UnusableError:
    return UnusableError(
        f"{version.uri} {what}: name with --champion a version that `python -m sluice_trainer` has registered"
    )
