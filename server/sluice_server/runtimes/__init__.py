"""How models of one kind are checked, loaded and run: one module per runtime, all behind `port.Runtime`.

A runtime knows its MLflow flavor, its file format and its library, and nothing of requests, batching or MLflow's API.
A new one gets a module here and a place in `RUNTIMES`.
"""

from __future__ import annotations

from sluice_server.model.mlmodel import MLmodel
from sluice_server.runtimes.port import Runtime
from sluice_server.runtimes.skops import SkopsRuntime

RUNTIMES: tuple[Runtime, ...] = (SkopsRuntime(),)  # the first one that serves a flavor of the model gets it


def for_model(model: MLmodel) -> Runtime | None:
    """The runtime for a logged model; None if no flavor of it is served."""
    return next((runtime for runtime in RUNTIMES if runtime.flavor in model.flavors), None)


def by_name(name: str) -> Runtime:
    """The runtime that a manifest names; raises LookupError if this image does not have it."""
    for runtime in RUNTIMES:
        if runtime.name == name:
            return runtime
    raise LookupError(f"this image has no runtime {name!r}")
