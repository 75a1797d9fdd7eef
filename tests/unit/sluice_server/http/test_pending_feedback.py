"""/feedback while the store does not answer: what the client is told."""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx
import pytest
from fastapi import FastAPI

from sluice_server.http.feedback import add_feedback
from sluice_server.http.intake import Intake
from sluice_server.inference.feedback import Feedback
from sluice_server.inference.labels import Outcome, RowLabel, TooManyPendingError
from sluice_server.inference.prediction_ids import Keyring, PredictionId, canonical, label_hash

pytestmark = pytest.mark.anyio
KEYS = Keyring(b"k" * 32)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Labels:
    """A counter that answers what it was told to."""

    def __init__(self, *outcomes: Outcome) -> None:
        self._outcomes = outcomes
        self.came: list[RowLabel] = []

    async def count(self, labels: Sequence[RowLabel]) -> list[Outcome]:
        if not self._outcomes:
            raise TooManyPendingError
        self.came += labels
        return list(self._outcomes)

    async def close(self) -> None: ...


async def sent(labels: Labels) -> httpx.Response:
    """The answer to three labels, the first two of which are right."""
    hashes = label_hash(canonical(1, text=False)) * 3
    predicted = PredictionId("abcdefghij", "gateway", int(time.time()), b"12345678", False, hashes)
    app = FastAPI()
    add_feedback(app, Feedback(KEYS, labels, 60.0), Intake(4096, 4096), "/etc/key")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://pod") as client:
        body = {"prediction_id": KEYS.issue(predicted), "labels": [1, 1, 0]}
        return await client.post("/feedback", json=body)


async def test_pending_labels_are_told() -> None:
    """202 instead of 200: the client that needs to be sure sends them again, and each still counts once."""
    answer = await sent(Labels(Outcome.COUNTED, Outcome.PENDING, Outcome.REPEAT))
    assert (answer.status_code, answer.json()) == (202, {"counted": 1, "correct": 1, "repeats": 1, "pending": 1})


async def test_without_pending_labels_nothing_is_said_of_them() -> None:
    """The answer is the one that clients know."""
    answer = await sent(Labels(Outcome.COUNTED, Outcome.REPEAT, Outcome.COUNTED))
    assert (answer.status_code, answer.json()) == (200, {"counted": 2, "correct": 1, "repeats": 1})


async def test_refused_labels_are_told() -> None:
    """They are lost for good: sending them again changes nothing."""
    answer = await sent(Labels(Outcome.REFUSED, Outcome.COUNTED, Outcome.COUNTED))
    assert (answer.status_code, answer.json()) == (200, {"counted": 2, "correct": 1, "repeats": 0, "refused": 1})


@pytest.mark.parametrize(
    ("kept", "label", "value"), [(True, "rose", "rose"), (True, "x" * 1_001, None), (False, "rose", None)]
)
async def test_a_label_is_sent_on_only_where_its_row_is_kept(kept: bool, label: str, value: str | None) -> None:
    """Else nobody needs to know what it was; and none is lost for being long."""
    hashes = label_hash(canonical("tulip", text=True))
    issued = KEYS.issue(PredictionId("abcdefghij", "gateway", 1_800_000_000, b"12345678", True, hashes, kept))
    labels = Labels(Outcome.COUNTED)
    await Feedback(KEYS, labels, 60.0).count(issued, label, None, 1_800_000_001.0)
    assert [(each.value, each.correct) for each in labels.came] == [(value, False)]


async def test_too_many_pending_labels_are_refused() -> None:
    """The client keeps them, and is told when to try again."""
    answer = await sent(Labels())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "wait for the store" in answer.json()["detail"]
