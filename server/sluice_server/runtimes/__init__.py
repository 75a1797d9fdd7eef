"""How models of one kind are checked, loaded and run: one module per runtime, all behind `port.Runtime`.

A runtime knows its MLflow flavor, its file format and its library, and nothing of requests, batching or MLflow's API.
A new one gets a module here and a place in `RUNTIMES`.
"""

from __future__ import annotations

from sluice_server.model.mlmodel import MLmodel
from sluice_server.runtimes.lightgbm import LightgbmRuntime
from sluice_server.runtimes.onnx import OnnxRuntime
from sluice_server.runtimes.port import Runtime
from sluice_server.runtimes.pyfunc import PyfuncRuntime
from sluice_server.runtimes.skops import SkopsRuntime
from sluice_server.runtimes.xgboost import XgboostRuntime

# The first one that accepts a model gets it.
RUNTIMES: tuple[Runtime, ...] = (
    OnnxRuntime(),
    SkopsRuntime(),
    XgboostRuntime(),
    LightgbmRuntime(),
    PyfuncRuntime(),
)


def for_model(model: MLmodel) -> tuple[Runtime, ...]:
    """The runtimes that know a flavor of a logged model, in the order in which they are asked to accept it."""
    return tuple(runtime for runtime in RUNTIMES if runtime.flavor in model.flavors)


def by_name(name: str) -> Runtime:
    """The runtime that a manifest names; raises LookupError if this image does not have it."""
    for runtime in RUNTIMES:
        if runtime.name == name:
            return runtime
    raise LookupError(f"this image has no runtime {name!r}")
