"""The file `MLmodel` that MLflow writes with a model, as far as it decides whether a model can be served."""

from __future__ import annotations

from typing import Any

import msgspec

PYTHON_FUNCTION = "python_function"  # the flavor that says how MLflow itself runs a model; nearly every model has it


class Signature(msgspec.Struct, frozen=True):
    """MLflow's signature: JSON strings inside of YAML."""

    inputs: str | None = None
    outputs: str | None = None
    params: str | None = None


class MLmodel(msgspec.Struct, frozen=True):
    """The parts of an MLmodel file that every kind of model has; the fields of a flavor are for its runtime to read."""

    flavors: dict[str, dict[str, Any] | None] = {}
    signature: Signature | None = None
    model_size_bytes: int | None = None
    run_id: str | None = None
    metadata: Any = None

    @property
    def python_version(self) -> str:
        """The Python that the model was logged with; empty if it does not say."""
        return str((self.flavors.get(PYTHON_FUNCTION) or {}).get("python_version") or "")

    @property
    def own_flavor(self) -> str:
        """The flavor beside python_function; that one, if there is no other."""
        return min(set(self.flavors) - {PYTHON_FUNCTION}, default=PYTHON_FUNCTION)

    @property
    def predict_function(self) -> str:
        """The method of the model that answers for it, as it was logged with pyfunc_predict_fn."""
        return str((self.flavors.get(PYTHON_FUNCTION) or {}).get("predict_fn") or "predict")

    def tag(self, name: str) -> str:
        """A text that the model was logged with as `metadata={name: ...}`; empty if there is none."""
        return str(self.metadata.get(name) or "") if isinstance(self.metadata, dict) else ""

    @property
    def inputs(self) -> str:
        """The signature's inputs; empty if there is no signature."""
        return (self.signature.inputs or "") if self.signature else ""

    @property
    def outputs(self) -> str | None:
        """The signature's outputs, if it has some."""
        return self.signature.outputs if self.signature else None

    @property
    def params(self) -> str | None:
        """The signature's params, if it has some."""
        return self.signature.params if self.signature else None
