"""Logs a trained model to MLflow and registers it. `versions.py` reads what is there.

The model is stored as skops with its trusted types, so that no one has to unpickle it. Its requirements are given,
because MLflow would start a second Python to find them, and print warnings.
"""

import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

import mlflow
import mlflow.sklearn
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from mlflow.tracking import MlflowClient
from requests.exceptions import RequestException

from sluice_trainer import hold_out, reference
from sluice_trainer.data import Dataset, digest
from sluice_trainer.errors import UnusableError
from sluice_trainer.forest import HOLDOUT_SHARE, Trained

TRUSTED_TYPES = ["sklearn.tree._tree.Tree"]  # a forest contains trees, which skops does not trust by default
LIBRARIES = ("scikit-learn", "skops", "numpy", "mlflow")
REFERENCE_FILE = "reference_bins.json"


class UnavailableError(UnusableError):
    """MLflow did not answer, or refused the request."""


@dataclass(frozen=True, slots=True)
class Version:
    name: str
    version: str
    run_id: str

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.version}"


def connect(tracking_uri: str | None) -> None:
    """Connect MLflow's client to the server with one request, so that an outage shows before the training.

    Raises UnavailableError. The client's defaults (7 retries, 120 s each) are too long, so they are shorter here unless
    the environment sets them.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # a training run sends nothing to others
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # stdout is only for the result
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    if tracking_uri is not None:
        mlflow.set_tracking_uri(tracking_uri)
    try:
        MlflowClient().search_registered_models(max_results=1)
    except (MlflowException, RequestException) as trouble:
        raise unavailable(trouble) from trouble


def publish(trained: Trained, dataset: Dataset, name: str, alias: str | None) -> Version:
    """Make one MLflow run with all that is known about the model, and one new version of `name`.

    `alias`: set on the new version, if given. Raises UnavailableError.
    """
    with run(name) as run_id:
        log_details(trained, dataset)
        published = Version(name, register(trained, name), run_id)
        if alias is not None:
            set_alias(name, alias, published.version)
    return published


@contextmanager
def run(name: str) -> Iterator[str]:
    """A run in the experiment of `name`, by its id. Raises UnavailableError, also for what is asked in the block."""
    try:
        mlflow.set_experiment(experiment(name))
        with mlflow.start_run() as started:
            yield started.info.run_id
    except (MlflowException, RequestException) as trouble:
        raise unavailable(trouble) from trouble


def experiment(name: str) -> str:
    """The experiment that has the runs of a model."""
    return os.environ.get("MLFLOW_EXPERIMENT_NAME", name)


def register(trained: Trained, name: str) -> str:
    """The model becomes the next version of `name`; its number."""
    return str(_log_model(trained, name).registered_model_version)


def set_alias(name: str, alias: str, version: str) -> None:
    """The alias names this version from now on."""
    MlflowClient().set_registered_model_alias(name, alias, version)


def archive(trained: Trained) -> None:
    """The model is only a file of the run."""
    _log_model(trained, None)


def log_details(trained: Trained, dataset: Dataset) -> None:
    """All that is known about the training, into the run under way. `dataset`: all rows, those of the hold-out too."""
    recipe = trained.recipe
    mlflow.log_params(
        {
            "estimator": "RandomForestClassifier",
            "trees": recipe.trees,
            "max_depth": recipe.max_depth,
            "label_noise": recipe.label_noise,
            "seed": recipe.seed,
            "holdout_share": HOLDOUT_SHARE,
            "training_rows": len(trained.rows.labels),
        }
    )
    mlflow.log_metrics({**trained.score.as_metrics(), "training_seconds": trained.seconds})
    mlflow.set_tags({"data.digest": digest(dataset), "version.python": platform.python_version()})
    mlflow.set_tags(hold_out.tags(trained.hold_out, trained.score.right))
    mlflow.set_tags({f"version.{library}": version(library) for library in LIBRARIES})
    mlflow.log_dict(_reference(trained), REFERENCE_FILE)


def _reference(trained: Trained) -> dict[str, object]:
    rows = trained.rows.frame
    return reference.as_document(reference.reference_bins(rows), len(rows))


def _log_model(trained: Trained, name: str | None) -> mlflow.models.model.ModelInfo:
    rows = trained.rows.frame
    return mlflow.sklearn.log_model(
        trained.model,
        name="model",
        registered_model_name=name,
        signature=infer_signature(rows, trained.model.predict(rows)),
        input_example=rows.head(2),
        serialization_format="skops",
        skops_trusted_types=TRUSTED_TYPES,
        metadata=reference.as_metadata(_reference(trained)),
        pip_requirements=[f"{library}=={version(library)}" for library in LIBRARIES],
    )


def unavailable(trouble: Exception) -> UnavailableError:
    """What to tell the user about an exception of MLflow's client."""
    server = mlflow.get_tracking_uri()
    if isinstance(trouble, RequestException) or isinstance(trouble.__context__, RequestException):
        return UnavailableError(f"MLflow at {server} does not answer: check MLFLOW_TRACKING_URI or --tracking-uri")
    return UnavailableError(f"MLflow at {server} refused: {str(trouble).splitlines()[0]}")
