"""Any model that MLflow can load, by running its own code: for `trust: Code` only, and in an image that has MLflow.

The last of the runtimes: what another one serves as data is not run as code. Fetching runs nothing of the model; MLflow
and pandas are imported when a model is loaded, not with this module.
"""

from __future__ import annotations

from pathlib import Path

from sluice_server.model.manifest import Manifest
from sluice_server.model.mlmodel import PYTHON_FUNCTION, MLmodel
from sluice_server.model.refusal import Refused
from sluice_server.model.schema import Rows
from sluice_server.runtimes.port import Allowed, Facts, LoadedModel, LoggedFlavor
from sluice_server.settings import Trust

IMAGE = "sluice-server-pyfunc"
_NEEDED = "pandas"  # what the general image lacks for MLflow's loading
_REQUIREMENTS = "requirements.txt"


class PyfuncRuntime:
    """See `port.Runtime`."""

    name = "pyfunc"
    flavor = PYTHON_FUNCTION
    libraries: tuple[str, ...] = ()
    serves = "any MLflow model, under trust: Code"

    def read(self, model: MLmodel) -> LoggedFlavor:
        """A pickle of scikit-learn is for one minor version of it; other libraries are checked by major version."""
        version = str((model.flavors.get("sklearn") or {}).get("sklearn_version") or "")
        return LoggedFlavor(
            "MLmodel", model.own_flavor, model.predict_function, {"scikit-learn": version} if version else {}
        )

    def check(self, logged: LoggedFlavor, allowed: Allowed) -> Refused | None:
        if allowed.trust is not Trust.CODE:
            return Refused(
                "CodeNotTrusted",
                f"the model has the flavor {logged.serialization}, and this server runs it only with the model's own "
                f"code, which trust: {allowed.trust} forbids: set trust: Code, if the administrator allows it, or "
                "train a model of a kind that is data: docs/server.md lists them",
            )
        if _NEEDED not in allowed.image.libraries:
            return Refused(
                "CodeNotServedHere",
                f"trust: Code allows the model, but this server image cannot run it: set server.image to {IMAGE} or an "
                "image made from it, or have the administrator set SLUICE_SERVER_PYFUNC_IMAGE of the operator",
            )
        return None

    def check_file(self, folder: Path, name: str, allowed: Allowed) -> Refused | None:
        """Whether the image has the packages that the model was logged with."""
        from sluice_server.runtimes import requirements  # noqa: PLC0415 - its parser is nothing for the serving process

        file = folder / _REQUIREMENTS
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
        if not (unmet := requirements.unmet(lines, allowed.image.libraries)):
            return None
        return Refused(
            "PackagesMissing",
            f"the model's {_REQUIREMENTS} asks for packages that this server image does not have: {_listed(unmet)}. "
            f"Make an image FROM {IMAGE} that installs this file, and set server.image to it; or train with the "
            "versions of the image",
        )

    def facts(self, folder: Path, name: str) -> Facts:
        return Facts(is_steady=False)

    def inputs(self, folder: Path, name: str) -> str | None:
        return None

    def load(self, folder: Path, found: Manifest, trusted_types: tuple[str, ...], example: Rows) -> LoadedModel:
        from sluice_server.runtimes.pyfunc_model import load  # noqa: PLC0415 - imports MLflow

        return load(folder, found, example)


def _listed(unmet: tuple[str, ...]) -> str:
    return ", ".join(unmet[:10]) + (f" and {len(unmet) - 10} more" if len(unmet) > 10 else "")
