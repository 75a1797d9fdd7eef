"""What the Open Inference Protocol tells with a GET: health and readiness, and the inputs and outputs of the model."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from sluice_server.http.dialects.open_inference import PREDICTIONS, PROBABILITIES, output_metadata
from sluice_server.http.openapi import NO_MODEL, NOT_READY
from sluice_server.inference.data_plane import DataPlane
from sluice_server.inference.readiness import Readiness
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Kind, Schema

_DATATYPES = {
    Kind.NUMBER: "FP64",
    Kind.INTEGER: "INT64",
    Kind.BOOLEAN: "BOOL",
    Kind.TEXT: "BYTES",
    Kind.DATE: "BYTES",
}


def routes(identity: Identity, schema: Schema, runtime: str, readiness: Readiness, data_plane: DataPlane) -> APIRouter:
    """The paths below /v2, apart from predictions."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])
    versions = (identity.version,)

    @router.get("", summary="The server")
    async def server() -> dict[str, Any]:
        return {"name": "sluice-server", "version": version("sluice"), "extensions": ["binary_tensor_data"]}

    @router.get("/health/live", summary="Whether the event loop answers")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @router.get("/health/ready", summary="Whether traffic should come here", responses=NOT_READY)
    async def ready() -> JSONResponse:
        return JSONResponse({"ready": readiness.ready}, 200 if readiness.ready else 503)

    def absent(model: str, asked: str) -> JSONResponse | None:
        if model == identity.model and asked in versions:
            return None
        there = f"only {identity.model!r} of version {identity.version!r}"
        message = f"there is no model {model[:100]!r} of version {asked[:100]!r} here, {there}"
        return JSONResponse({"error": message}, 404)

    asked_for = NO_MODEL | NOT_READY

    @router.get("/models/{model}/ready", summary="Whether the model is ready", responses=asked_for)
    @router.get("/models/{model}/versions/{asked}/ready", summary="Whether the version is ready", responses=asked_for)
    async def model_ready(model: str, asked: str = identity.version) -> JSONResponse:
        answer = {"name": identity.model, "ready": readiness.ready}
        return absent(model, asked) or JSONResponse(answer, 200 if readiness.ready else 503)

    @router.get("/models/{model}", summary="Inputs and outputs of the model", responses=NO_MODEL)
    @router.get("/models/{model}/versions/{asked}", summary="Inputs and outputs of the version", responses=NO_MODEL)
    async def describe(model: str, asked: str = identity.version) -> JSONResponse:
        content = {
            "name": identity.model,
            "versions": versions,
            "platform": f"sluice_{runtime}",
            "inputs": _inputs(schema),
            "outputs": _outputs(data_plane),
        }
        return absent(model, asked) or JSONResponse(content)

    @router.post("/models/{model}/infer", include_in_schema=False)
    @router.post("/models/{model}/versions/{asked}/infer", include_in_schema=False)
    async def other_model(model: str, asked: str = identity.version) -> JSONResponse:
        return absent(model, asked) or JSONResponse({"error": "not found"}, 404)

    return router


def _inputs(schema: Schema) -> list[dict[str, Any]]:
    """One tensor for each column that has a name; else one for whole rows."""
    if schema.is_named:
        return [{"name": each.name, "datatype": _DATATYPES[each.kind], "shape": [-1]} for each in schema.columns]
    datatype = "FP64" if schema.is_numeric else "BYTES"
    return [{"name": "input-0", "datatype": datatype, "shape": [-1, len(schema.columns)]}]


def _outputs(data_plane: DataPlane) -> list[dict[str, Any]]:
    """As they were for the input example; none while there is no model."""
    example = data_plane.example
    if example is None:
        return []
    found = {PREDICTIONS: example.values, PROBABILITIES: example.probabilities}
    return [output_metadata(array, name) for name, array in found.items() if array is not None]
