"""A retraining in MLflow: one run that says what was found, what was decided, and why.

The last thing that a run gets is its key. So a run without one was interrupted, and counts for nothing.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from requests.exceptions import RequestException

from sluice_trainer import registry
from sluice_trainer.data import Dataset
from sluice_trainer.forest import Trained
from sluice_trainer.paired import Compared
from sluice_trainer.quality import Quality
from sluice_trainer.retraining import Decision, Outcome

KEY, OUTCOME, REASON, REPORT = (f"sluice.retrain.{part}" for part in ("key", "outcome", "reason", "report"))
QUALITY_FILE = "data_quality.json"
_REASON_SHOWN = 500  # characters: a tag of MLflow has room for 8,000, and the report has the reason too


@dataclass(frozen=True, slots=True)
class Found:
    """What a retraining begins with."""

    champion: str  # the URI of the version that serves
    window: str
    rows: int  # that can be used
    quality: Quality


@dataclass(frozen=True, slots=True)
class Report:
    """How a retraining ended, as plain data for JSON. `repeated`: that was in an earlier call."""

    outcome: Outcome
    document: dict[str, Any]
    repeated: bool = False

    def as_json(self) -> str:
        return json.dumps({**self.document, "repeated": self.repeated})

    def as_text(self) -> str:
        """The reason in one line, and what there is now in the last one."""
        known = "the same rows were trained from before, nothing was done; then it was: " if self.repeated else ""
        return f"{known}{self.document['reason']}\n{self.document['uri'] or self.outcome}"


def earlier(name: str, key: str) -> Report | None:
    """The report of a retraining with this key that has ended. Raises UnavailableError."""
    client = MlflowClient()
    try:
        experiment = client.get_experiment_by_name(registry.experiment(name))
        if experiment is None:
            return None
        ended = f"tags.`{KEY}` = '{key}' and attributes.status = 'FINISHED'"
        runs = client.search_runs([experiment.experiment_id], ended, max_results=1)
    except (MlflowException, RequestException) as trouble:
        raise registry.unavailable(trouble) from trouble
    if not runs:
        return None
    document = json.loads(runs[0].data.tags[REPORT])
    return Report(Outcome(document["outcome"]), document, repeated=True)


def log_found(found: Found) -> None:
    """Into the run under way, before anything is trained."""
    mlflow.set_tags({"sluice.retrain.champion": found.champion, "sluice.retrain.window": found.window})
    mlflow.log_metrics({"retrain.rows": found.rows, "retrain.quality_score": found.quality.score})
    mlflow.log_dict(asdict(found.quality), QUALITY_FILE)


def log_compared(trained: Trained, dataset: Dataset, compared: Compared) -> None:
    """Into the run under way: the candidate, and how it did beside the version that serves."""
    registry.log_details(trained, dataset)
    numbers = {name: value for name, value in compared.as_document().items() if isinstance(value, int | float)}
    mlflow.log_metrics({f"retrain.{name}": value for name, value in numbers.items()})


def end(key: str, decision: Decision, document: dict[str, Any]) -> Report:
    """The decision, into the run under way. With it the retraining is over."""
    reason = decision.reason[:_REASON_SHOWN]
    whole = {"outcome": str(decision.outcome), "reason": reason, **document}
    mlflow.set_tags({OUTCOME: str(decision.outcome), REASON: reason, REPORT: json.dumps(whole)})
    mlflow.set_tag(KEY, key)
    return Report(decision.outcome, whole)
