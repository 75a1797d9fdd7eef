"""The FastAPI part: health, metadata, metrics, feedback and the OpenAPI document, which describes /predict too."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StrictBool, StrictInt, StrictStr

from sluice_server.http.openapi import describe_predict
from sluice_server.inference.data_plane import DataPlane
from sluice_server.inference.feedback import Feedback
from sluice_server.inference.metrics import Metrics
from sluice_server.inference.prediction_ids import MAX_ROWS, FeedbackError
from sluice_server.inference.readiness import Readiness
from sluice_server.model.identity import Identity
from sluice_server.model.manifest import Manifest
from sluice_server.model.schema import Schema
from sluice_server.settings import ServeSettings

_NO_ID = (
    f"null: predictions of more than {MAX_ROWS} rows, of numbers instead of classes, and of probes take no feedback"
)
LabelField = Annotated[StrictBool | StrictInt | FiniteFloat | StrictStr, Field(description="The true class.")]


class FeedbackBody(BaseModel):
    """The true labels for an earlier prediction."""

    model_config = ConfigDict(extra="forbid")

    prediction_id: Annotated[str | None, Field(description="The `prediction_id` of the /predict answer, unchanged.")]
    label: Annotated[LabelField | None, Field(description="For a prediction of one row.")] = None
    labels: Annotated[
        list[LabelField | None] | None,
        Field(description="One per row; null where the truth is not known.", max_length=MAX_ROWS),
    ] = None


class FeedbackAnswer(BaseModel):
    """What became of the labels."""

    counted: int
    correct: int
    repeats: int


@dataclass(frozen=True, slots=True)
class Pod:
    """What the endpoints of this process speak about; without a key there is no feedback."""

    settings: ServeSettings
    identity: Identity
    manifest: Manifest
    readiness: Readiness
    metrics: Metrics
    data_plane: DataPlane
    feedback: Feedback | None


def build_app(pod: Pod) -> FastAPI:
    """The application behind the dispatch; it knows neither ports nor trailing slashes."""
    app = FastAPI(
        title=f"Sluice model server: {pod.settings.model_name or 'model'}",
        version=pod.settings.model_version or "0",
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    app.add_exception_handler(RequestValidationError, _unprocessable)
    _add_health(app, pod)
    _add_description(app, pod)
    _add_feedback(app, pod)
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        document["paths"].setdefault("/predict", describe_predict(pod.manifest.schema, pod.manifest.input_example))
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


async def _unprocessable(_: Request, error: Exception) -> JSONResponse:
    """FastAPI's response without what was sent: that may be large, or a number that JSON does not have."""
    assert isinstance(error, RequestValidationError)  # Starlette types all handlers for any exception
    detail = [{"type": fault["type"], "loc": fault["loc"], "msg": fault["msg"]} for fault in error.errors()]
    return JSONResponse({"detail": detail}, 422)


def _add_health(app: FastAPI, pod: Pod) -> None:
    @app.get("/health/live", summary="Whether the event loop answers")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/health/ready", summary="Whether traffic should come here")
    async def ready() -> JSONResponse:
        return JSONResponse(
            {"ready": pod.readiness.ready, "reason": pod.readiness.reason}, 200 if pod.readiness.ready else 503
        )

    @app.get("/health", summary="Readiness with the model's version")
    async def health() -> JSONResponse:
        content = {
            "status": "healthy" if pod.readiness.ready else "unhealthy",
            "reason": pod.readiness.reason,
            "model_loaded": pod.data_plane.ready,
            "target_classes": pod.data_plane.classes,
            "model_version": pod.settings.model_version,
            "model_source": pod.settings.model_uri,
        }
        return JSONResponse(content, 200 if pod.readiness.ready else 503)


def _add_description(app: FastAPI, pod: Pod) -> None:
    settings, manifest = pod.settings, pod.manifest

    @app.get("/metadata", summary="What is served")
    async def metadata() -> dict[str, Any]:
        return {
            "model": {"name": settings.model_name, "version": settings.model_version, "uri": settings.model_uri},
            "model_deployment": settings.model_deployment,
            "revision": settings.revision,
            "digest": manifest.digest,
            "runtime": manifest.runtime,
            "flavor": manifest.flavor,
            "signature": {
                "inputs": manifest.signature.inputs,
                "outputs": manifest.signature.outputs,
                "columns": _columns(manifest.schema),
                "predictions": _predictions(pod.data_plane),
            },
            "target_classes": pod.data_plane.classes,
            "input_example": manifest.input_example,
        }

    @app.get("/metrics", summary="Prometheus text (cluster port only)", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(pod.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _columns(schema: Schema) -> list[dict[str, Any]]:
    """What a row of a request must have, in this order. This server cannot fill in a column, so all are required."""
    return [{"name": column.name, "type": column.kind, "required": True} for column in schema.columns]


def _predictions(data_plane: DataPlane) -> dict[str, Any] | None:
    """What a response has for each row, seen on the input example; None while there is no model."""
    example = data_plane.example
    if example is None:
        return None
    return {
        "type": example.type_in_json,
        "values": example.values_per_row,
        "classes": data_plane.classes,
        "probabilities": example.probabilities is not None,
    }


def _add_feedback(app: FastAPI, pod: Pod) -> None:
    @app.post("/feedback", summary="Count true labels for an earlier prediction", response_model=FeedbackAnswer)
    async def feedback(body: FeedbackBody) -> FeedbackAnswer | JSONResponse:
        if pod.feedback is None:
            detail = f"feedback is off: this pod has no key at {pod.settings.feedback_key_file}"
            return JSONResponse({"detail": detail}, 503)
        try:
            if body.prediction_id is None:
                raise FeedbackError("prediction_id", _NO_ID)
            counted = pod.feedback.count(body.prediction_id, body.label, body.labels, time.time())
        except FeedbackError as error:
            fault = {"type": "value_error", "loc": ["body", error.field], "msg": str(error)}
            return JSONResponse({"detail": [fault]}, 422)
        return FeedbackAnswer(counted=counted.counted, correct=counted.correct, repeats=counted.repeats)
