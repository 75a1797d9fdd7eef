"""`python -m dev.workflows.model_validation --model models:/iris@champion`: is that version still what it was?

It serves the version with the real model server, as a pod would, and asks it for each row of the hold-out. Three
things are checked: the operator's own rule for a hold-out (`accuracy: {source: Training, min}`), the accuracy that the
served model has, and that it is right on the same rows as when it was trained.
Exit codes: 0 all is well; 1 something is not; 2 it could not be tried.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pandas as pd

from dev.processes import free_ports, running
from dev.workflows import registry
from sluice_operator.analysis.hold_out import refusal
from sluice_operator.api.observation import HoldOut, HoldOuts, Rows, Unresolved
from sluice_operator.api.quantities import Share
from sluice_operator.api.revision import Model
from sluice_operator.api.spec import Accuracy, Confidence, Objective, Source
from sluice_trainer import data, forest

_PATIENCE = 120.0  # seconds until the server is ready
_ROWS = 1_000  # of a request


class NotServedError(Exception):
    """The model server did not get ready. The text is the end of its log."""


@dataclass(frozen=True, slots=True)
class Check:
    good: bool
    words: str


@dataclass(frozen=True, slots=True)
class Served:
    """A model behind an address. It predicts like an estimator, so that the trainer's own score can ask it."""

    url: str

    def predict(self, rows: pd.DataFrame) -> np.ndarray:
        """The predictions of all rows. Raises httpx.HTTPError."""
        found: list[object] = []
        for first in range(0, len(rows), _ROWS):
            part = rows.iloc[first : first + _ROWS]
            answer = httpx.post(f"{self.url}/predict", json={"features": part.to_dict("list")}, timeout=60)
            found += answer.raise_for_status().json()["predictions"]
        return np.array(found)


def checks(
    model: Model, trained: HoldOut | Unresolved, right: Sequence[bool], digest: str, least: Share
) -> Iterator[Check]:
    """What the three checks say. `right`: by row of the hold-out with this `digest`, whether the served model was."""
    objective = Objective("hold-out", accuracy=Accuracy(Source.TRAINING, min=least))
    refused = refusal(objective, HoldOuts(trained), Confidence())
    yield Check(refused is None, refused.message if refused else f"the operator accepts an accuracy of {least}")
    correct, total = sum(right), len(right)
    words = f"{model.uri} as it is served has {correct} of {total} rows right"
    yield Check(correct / total >= least, f"{words}, {least} are asked for")
    if isinstance(trained, HoldOut) and isinstance(trained.rows, Rows):
        if trained.rows.digest != digest:
            yield Check(False, f"{model.uri} was trained with another hold-out: name its --seed")
            return
        bits = int("".join("01"[each] for each in right), 2)
        other = (bits ^ trained.rows.right).bit_count()
        yield Check(other == 0, f"{other} rows are answered otherwise than when it was trained")


@contextmanager
def served(model: Model, folder: Path) -> Iterator[Served]:
    """The version behind the model server, which fetches and checks it as in a pod. Raises NotServedError."""
    port, other = free_ports(2)
    environment = os.environ | {
        "MODEL_URI": model.uri,
        "SLUICE_HOST": "127.0.0.1",
        "SLUICE_CLUSTER_PORT": str(port),
        "SLUICE_GATEWAY_PORT": str(other),
        "SLUICE_MODEL_DIR": str(folder / "model"),
        "SLUICE_DRAIN_DELAY": "0",
    }
    log, url = folder / "server.log", f"http://127.0.0.1:{port}"
    with running([sys.executable, "-m", "sluice_server", "run"], log, environment) as process:
        deadline = time.monotonic() + _PATIENCE
        while not _ready(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotServedError(f"{model.uri} is not served: {log.read_text(encoding='utf-8')[-2000:]}")
            time.sleep(0.05)
        yield Served(url)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready").is_success
    except httpx.TransportError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each check."""
    parser = argparse.ArgumentParser(prog="python -m dev.workflows.model_validation", description=__doc__)
    parser.add_argument("--model", required=True, help="such as models:/iris@champion")
    parser.add_argument("--min-accuracy", default="0.70", help="of the hold-out (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="that the version was trained with (default: %(default)s)")
    options = parser.parse_args(arguments)
    hold_out = data.split(data.iris(), forest.HOLDOUT_SHARE, options.seed).hold_out
    try:
        least = Share.parse(options.min_accuracy)
        model = registry.resolved(options.model)
        trained = registry.hold_out(model)
        with tempfile.TemporaryDirectory() as folder, served(model, Path(folder)) as answering:
            right = forest.score(answering, hold_out).right
    except (registry.NotResolvedError, NotServedError, httpx.HTTPError, ValueError) as error:
        print(f"cannot be validated: {error}", file=sys.stderr)
        return 2
    found = list(checks(model, trained, right, data.digest(hold_out), least))
    print(*(f"{'ok   ' if check.good else 'FAIL '} {check.words}" for check in found), sep="\n")
    return 0 if all(check.good for check in found) else 1


if __name__ == "__main__":
    sys.exit(main())
