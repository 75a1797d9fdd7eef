"""From a request to the rows that the store gets, and what the id of the prediction says of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from sluice_server.http.dialects.plain import PlainDialect
from sluice_server.http.predict import PredictEndpoint
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.prediction_ids import Keyring
from sluice_server.inference.prediction_log import PredictionLog
from tests.unit.sluice_server.conftest import CURRENT_KEY

if TYPE_CHECKING:
    from sluice_server.model.schema import Rows
    from tests.unit.sluice_server.conftest import Client, Start

BODY = {"features": [5.1, 3.5, 1.4, 0.2]}


class Kept:
    """A keeper that notes what it gets."""

    def __init__(self) -> None:
        self.rows: list[list[float]] = []
        self.names: list[str] = []

    def keep(self, rows: Rows, prediction: Prediction, classes: Sequence[Any] | None) -> None:
        assert classes == (0, 1, 2)
        self.rows += rows.tolist()
        self.names.append(prediction.kept_as)


def keeping(client: Client) -> Kept:
    """What the process keeps from now on of /predict."""
    pod, kept = client.process.pod, Kept()
    log = PredictionLog(pod.identity, pod.manifest.schema.names, 0.0)
    endpoint = PredictEndpoint(
        PlainDialect(pod.rows, pod.identity), pod.data_plane, pod.metrics, log, pod.intake, keeper=kept
    )
    endpoints = client.process.dispatch._endpoints
    assert isinstance(endpoints, dict)
    endpoints["/predict"] = endpoint
    return kept


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_rows_are_kept_by_the_share(start: Start, share: float) -> None:
    """The id says so, for each pod that a label reaches; the request id joins rows and labels."""
    client = start(keep_predictions=share)
    kept = keeping(client)
    answer = client.post("/predict", json=BODY).json()
    issued = Keyring(CURRENT_KEY).read(answer["prediction_id"], time.time(), 3_600.0)
    assert issued.kept is bool(share)
    assert kept.rows == ([BODY["features"]] if share else [])
    assert kept.names == ([issued.request.hex()] if share else [])


def test_probes_are_not_kept(start: Start) -> None:
    """The operator asks for nothing that happened."""
    client = start(keep_predictions=1.0)
    kept = keeping(client)
    assert client.post("/predict", json=BODY, headers={"x-sluice-probe": "1"}).status_code == 200
    assert kept.rows == []


def test_a_prediction_without_an_id_is_kept_too(start: Start) -> None:
    """Its rows have no label from feedback, but may get one by their correlation id."""
    client = start(keyring=None, keep_predictions=1.0)
    kept = keeping(client)
    assert client.post("/predict", json=BODY).status_code == 200
    assert [len(name) for name in kept.names] == [16]
