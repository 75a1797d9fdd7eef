"""What a dialect decides by itself: its bodies and status codes, with no other change than its own class."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from starlette.types import Message

from sluice_server.http.asgi import read_head
from sluice_server.http.dialects import CODES
from sluice_server.http.dialects.port import Body, Parsed
from sluice_server.http.intake import Intake
from sluice_server.http.predict import PredictEndpoint
from sluice_server.http.request import Request
from sluice_server.inference.metrics import Metrics
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.prediction_log import PredictionLog
from sluice_server.inference.rejection import Cause, Rejection
from sluice_server.inference.rows import RowReader
from sluice_server.model.identity import Identity

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Client, Start

IDENTITY = Identity("iris", "3", "abcdefghij")


class Numbered:
    """Bodies are `[number, rows]`, and the number comes back; everything that is wrong is a 400."""

    status: ClassVar[Mapping[Cause, int]] = dict.fromkeys(Cause, 400) | {Cause.FAILED: 502}
    format: ClassVar[str] = "a numbered list"

    def __init__(self, rows: RowReader, identity: Identity) -> None:
        self.paths: tuple[str, ...] = (f"/numbered/{identity.model}",)
        self._rows = rows

    def reads(self, content_type: str) -> bool:
        return content_type == "numbered"

    def parse(self, body: bytes, content_type: str = "", json_bytes: int | None = None) -> Parsed | Rejection:
        number, values = msgspec.json.decode(body)
        rows = self._rows.read(values)
        return rows if isinstance(rows, Rejection) else Parsed(rows, number)

    def write(self, prediction: Prediction, echo: Any) -> Body:
        return Body(msgspec.json.encode([echo, prediction.output.values.tolist()]))

    def write_rejection(self, rejection: Rejection) -> bytes:
        return msgspec.json.encode([rejection.location, rejection.message])


def answered(client: Client, body: bytes, content_type: bytes = b"numbered") -> tuple[int, Any]:
    """Status and body of the endpoint's response in that dialect."""
    pod = client.process.pod
    dialect = Numbered(RowReader(pod.manifest.schema, 2), IDENTITY)
    metrics = Metrics(IDENTITY, (200, 400, 502))
    metrics.expect_classes((0, 1, 2))
    endpoint = PredictEndpoint(dialect, pod.data_plane, metrics, PredictionLog(IDENTITY, (), 0.0), Intake(100, 100))
    sent: list[Message] = []

    async def run() -> None:
        messages: list[Message] = [{"type": "http.request", "body": body}]

        async def receive() -> Message:
            return messages.pop() if messages else await asyncio.Event().wait()  # type: ignore[return-value]

        async def send(message: Message) -> None:
            sent.append(message)

        head = read_head({"type": "http", "headers": [(b"content-type", content_type)]}, b"x")
        await endpoint(Request(receive, send, head, "gateway", ()))

    asyncio.run(run())
    code = sent[0]["status"]
    labels = {"model": "iris", "version": "3", "revision": "abcdefghij", "entry": "gateway", "code": str(code)}
    assert metrics.registry.get_sample_value("ml_requests_total", labels) == 1
    return code, json.loads(sent[1]["body"])


def test_a_dialect_writes_predictions_and_what_they_repeat(client: Client) -> None:
    """The data plane knows nothing of the number that comes back."""
    assert answered(client, b"[7, [5.1, 3.5, 1.4, 0.2]]") == (200, [7, [0]])


def test_a_dialect_writes_rejections_under_its_own_status(client: Client, start: Start) -> None:
    """Of values, of rows, of bytes, of formats, and while no model is ready; each is counted under that status."""
    assert answered(client, b"[7, [[1, 2, 3, null]]]")[0] == 400
    assert answered(client, b"[7, [[1, 2, 3, null]]]")[1][0] == [0, 3]
    assert "3 rows" in answered(client, b"[7, [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]]]")[1][1]
    assert "100 bytes" in answered(client, b" " * 101)[1][1]
    assert "a numbered list" in answered(client, b"", b"application/json")[1][1]
    assert answered(start(load=False), b"[]") == (400, [[], "no model is ready: /health/ready says why"])
    assert answered(client, b"no list")[0] == 400, (
        "what a dialect raises is about the body, and no failure of the model"
    )


def test_the_codes_of_the_plain_dialect_are_those_of_the_metrics() -> None:
    """Every code has its series from the start."""
    assert CODES == (200, 400, 408, 413, 415, 422, 429, 499, 500, 503)
