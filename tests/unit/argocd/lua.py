"""Runs the scripts of manifests/argocd as Argo CD does: Lua 5.1, with the object as the variable `obj`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from lupa.lua51 import LuaRuntime, lua_type
from msgspec.structs import replace

from sluice_operator.api.observation import Observation
from sluice_operator.api.status import dump
from sluice_operator.rollout.conditions import with_conditions
from sluice_operator.rollout.status_update import with_observations
from tests.unit.sluice_operator.build import raw_spec

FOLDER = Path(__file__).parents[3] / "manifests" / "argocd"


def script(file: str, key: str) -> str:
    """The text of one customization."""
    data = yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))["data"]
    return str(data[f"resource.customizations.{key}.sluice.dev_ModelDeployment"])


def run(text: str, obj: dict[str, Any]) -> dict[str, Any]:
    """What the script returns."""
    lua = LuaRuntime()
    lua.globals()["obj"] = lua.table_from(obj, recursive=True)
    returned: dict[str, Any] = _plain(lua.execute(text))
    return returned


def shown(seen: Observation, annotation: str = "") -> dict[str, Any]:
    """The ModelDeployment as it is in the cluster after a look that has moved nothing."""
    noted = with_observations(seen)
    status = with_conditions(noted, replace(noted.status, last_command=seen.status.last_command))
    annotations = {"sluice.dev/command": annotation} if annotation else {}
    metadata = {"name": seen.name, "generation": seen.generation, "annotations": annotations}
    return {"metadata": metadata, "spec": raw_spec(suspend=seen.spec.suspend), "status": dump(status)}


def _plain(value: Any) -> Any:
    """Tables with keys as dicts."""
    return {key: _plain(entry) for key, entry in value.items()} if lua_type(value) == "table" else value
