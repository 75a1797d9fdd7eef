"""The FastAPI part: health, metadata, metrics, and the OpenAPI document, which describes /predict too."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi_offline import FastAPIOffline
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from sluice_server.http import model_archive, model_v2
from sluice_server.http.dialects import open_inference
from sluice_server.http.feedback import add_feedback
from sluice_server.http.intake import Intake
from sluice_server.http.openapi import NOT_READY, describe_infer, describe_invocations, describe_predict
from sluice_server.inference.data_plane import DataPlane
from sluice_server.inference.feedback import Feedback
from sluice_server.inference.metrics import Metrics
from sluice_server.inference.readiness import Readiness
from sluice_server.inference.rows import RowReader
from sluice_server.model.identity import Identity
from sluice_server.model.manifest import Manifest
from sluice_server.settings import ServeSettings


@dataclass(frozen=True, slots=True)
class Pod:
    """What the endpoints of this process speak about; without a key there is no feedback. `started`: in UTC."""

    settings: ServeSettings
    identity: Identity
    manifest: Manifest
    readiness: Readiness
    metrics: Metrics
    data_plane: DataPlane
    rows: RowReader
    feedback: Feedback | None
    intake: Intake
    started: datetime


def build_app(pod: Pod) -> FastAPI:
    """The application behind the dispatch; it knows neither ports nor trailing slashes."""
    app = FastAPIOffline(  # its pages need nothing from the internet
        redoc_url=None,
        title=f"Sluice model server: {pod.settings.model_name or 'model'}",
        version=pod.settings.model_version or "0",
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    _add_not_found(app, pod.identity)
    _add_health(app, pod)
    _add_description(app, pod)
    app.include_router(
        model_v2.routes(pod.identity, pod.manifest.schema, pod.manifest.runtime, pod.readiness, pod.data_plane)
    )
    if pod.settings.store is not None:
        app.include_router(model_archive.routes(pod.settings.model_dir, pod.settings.store))
    add_feedback(app, pod.feedback, pod.intake, str(pod.settings.feedback_key_file))
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        example = pod.manifest.input_example
        document["paths"]["/predict"] = describe_predict(pod.rows, example)
        document["paths"]["/invocations"] = describe_invocations(pod.rows)
        infer, infer_version = open_inference.paths(pod.identity)
        document["paths"] |= {infer: describe_infer("infer"), infer_version: describe_infer("infer_version")}
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app


def _add_not_found(app: FastAPI, identity: Identity) -> None:
    """Clients of other servers ask at their paths: they are told those of this one."""
    infer, _ = open_inference.paths(identity)
    detail = f"Not Found: predictions are at /predict, /invocations (MLflow) and {infer} (Open Inference); see /docs"

    @app.exception_handler(404)
    async def not_found(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": detail}, 404)


def _add_health(app: FastAPI, pod: Pod) -> None:
    @app.get("/health/live", summary="Whether the event loop answers")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/health/ready", summary="Whether traffic should come here", responses=NOT_READY)
    async def ready() -> JSONResponse:
        return JSONResponse(
            {"ready": pod.readiness.ready, "reason": pod.readiness.reason}, 200 if pod.readiness.ready else 503
        )

    @app.get("/ping", summary="The same as MLflow's servers are asked", responses=NOT_READY, response_class=Response)
    async def ping() -> Response:
        return Response("\n", 200 if pod.readiness.ready else 503, media_type="application/json")

    @app.get(
        "/version", summary="The version of MLflow that this server reads models of", response_class=PlainTextResponse
    )
    async def mlflow_version() -> PlainTextResponse:
        return PlainTextResponse(version("mlflow-skinny"))

    @app.get("/health", summary="Readiness with the model's version", responses=NOT_READY)
    async def health() -> JSONResponse:
        content = {
            "status": "healthy" if pod.readiness.ready else "unhealthy",
            "reason": pod.readiness.reason,
            "model_loaded": pod.data_plane.ready,
            "target_classes": pod.data_plane.classes,
            "model_version": pod.settings.model_version,
            "model_source": pod.identity.source,
            "metrics": pod.manifest.origin.metrics,
            "reload": None if pod.settings.handover is None else msgspec.to_builtins(pod.settings.handover.shown()),
        }
        return JSONResponse(content, 200 if pod.readiness.ready else 503)


def _add_description(app: FastAPI, pod: Pod) -> None:
    settings, manifest = pod.settings, pod.manifest

    @app.get("/metadata", summary="What is served")
    async def metadata() -> dict[str, Any]:
        return {
            "model": {
                "name": settings.model_name,
                "version": settings.model_version,
                "uri": settings.model_uri,
                "source": pod.identity.source,
                "registry_name": settings.model_name or None,
                "run_id": manifest.origin.run_id or None,
                "git_commit": manifest.origin.git_commit or None,
                "metrics": manifest.origin.metrics,
            },
            "deployment": {
                "git_commit": manifest.origin.git_commit or None,
                "api_version": version("sluice"),
                "timestamp": pod.started.isoformat(timespec="seconds"),
            },
            "model_deployment": settings.model_deployment,
            "revision": settings.revision,
            "digests": {"artifact": manifest.digest, "prepared": settings.digest or None},
            "runtime": manifest.runtime,
            "flavor": manifest.flavor,
            "signature": {
                "inputs": manifest.signature.inputs,
                "outputs": manifest.signature.outputs,
                "columns": _columns(pod.rows),
                "predictions": _predictions(pod.data_plane),
            },
            "target_classes": pod.data_plane.classes,
            "input_example": manifest.input_example,
        }

    @app.get("/metrics", summary="Prometheus text (cluster port only)", response_class=Response)
    async def metrics() -> Response:
        return Response(generate_latest(pod.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _columns(reader: RowReader) -> list[dict[str, Any]]:
    """What a row of a request has, in this order."""
    columns = zip(reader.schema.columns, reader.required, reader.nullable, strict=True)
    return [
        {"name": column.name, "type": column.kind, "required": required, "nullable": nullable}
        for column, required, nullable in columns
    ]


def _predictions(data_plane: DataPlane) -> dict[str, Any] | None:
    """What a response has for each row, seen on the input example; None while there is no model."""
    example = data_plane.example
    if example is None:
        return None
    within = data_plane.tolerance
    return {
        "type": example.type_in_json,
        "values": example.values_per_row,
        "classes": data_plane.classes,
        "probabilities": example.probabilities is not None,
        "tolerance": None if within is None else {"by": within.by, "relative": within.relative},
    }
