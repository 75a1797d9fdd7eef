"""Asks MLflow's REST API what a URI names now. Three answers that must never be mixed up: a model, no model, no answer.

Reading needs a handful of GETs, so MLflow's own client, with its long retries, stays out of the operator.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from sluice_operator.api import urls
from sluice_operator.api.observation import HoldOut, Resolution, Resolved, Unreachable, Unresolved
from sluice_operator.api.status import Model
from sluice_operator.mlflow import hold_outs, uris

_TIMEOUT_SECONDS = 5.0
_ERROR_KEPT_SECONDS = 5.0
_FORGOTTEN_AFTER_SECONDS = 3600.0
_UNUSABLE = (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, AttributeError)  # as an answer


class _NotFoundError(Exception):
    """MLflow answered that there is no such thing."""


@dataclass(frozen=True, slots=True)
class _Answer:
    resolution: Resolution
    asked_at: float

    def is_fresh(self, now: float, poll_seconds: float) -> bool:
        """Whether it need not be asked again yet; what is no model is asked for sooner."""
        kept = poll_seconds if isinstance(self.resolution, Resolved) else min(poll_seconds, _ERROR_KEPT_SECONDS)
        return now < self.asked_at + kept


class Registry:
    """Resolves model URIs, and moves aliases.

    `allowed_hosts`: patterns of `host:port` that a user-given tracking URI may name; the operator's own is always
    allowed. An answer is kept for the poll interval and shared by all objects that ask the same.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        default_uri: str,
        allowed_hosts: tuple[str, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._default = default_uri
        self._allowed = allowed_hosts
        self._clock = clock
        self._answers: dict[tuple[str, str], _Answer] = {}

    async def resolve(self, uri: str, tracking_uri: str, poll_seconds: float) -> Resolution:
        """The model version that `uri` names now, at most `poll_seconds` old."""
        key, now = (tracking_uri or self._default, uri), self._clock()
        known = self._answers.get(key)
        if known is not None and known.is_fresh(now, poll_seconds):
            return known.resolution
        resolution = await self._ask(uri, *self._base(tracking_uri))
        self._answers = {k: one for k, one in self._answers.items() if one.asked_at > now - _FORGOTTEN_AFTER_SECONDS}
        self._answers[key] = _Answer(resolution, self._clock())
        return resolution

    async def alias_version(self, tracking_uri: str, name: str, alias: str) -> str | None:
        """The version that `alias` of model `name` points to; None if it points nowhere or nobody answers."""
        base, refused = self._base(tracking_uri)
        if refused:
            return None
        try:
            return str((await self._by_alias(base, name, alias))["version"])
        except (_NotFoundError, *_UNUSABLE):
            return None

    async def hold_out(self, model: Model, tracking_uri: str) -> HoldOut | Unresolved | Unreachable:
        """What the MLflow run that made `model` says of its hold-out: metrics, and tags that tell the rows."""
        base, refused = self._base(tracking_uri)
        if refused is not None:
            return refused
        try:
            return hold_outs.parse(model, (await self._get(base, "runs/get", run_id=model.run_id))["run"]["data"])
        except _NotFoundError as error:
            return Unresolved("HoldOutMissing", f"MLflow does not have the {hold_outs.run_of(model)} ({error})")
        except _UNUSABLE as error:
            return Unreachable(f"MLflow at {base} gave no usable answer: {str(error) or type(error).__name__}")

    async def set_alias(self, tracking_uri: str, name: str, alias: str, version: str) -> None:
        """Point `alias` at `version`. Idempotent. Raises httpx.HTTPError when MLflow does not do it."""
        base, refused = self._base(tracking_uri)
        if refused:
            raise httpx.RequestError(refused.message)
        body = {"name": name, "alias": alias, "version": version}
        answer = await self._client.post(f"{base}/api/2.0/mlflow/registered-models/alias", json=body)
        answer.raise_for_status()

    def _base(self, tracking_uri: str) -> tuple[str, Unresolved | None]:
        chosen = (tracking_uri or self._default).rstrip("/")
        try:
            host = urls.host(chosen)
        except ValueError as error:
            return chosen, Unresolved("InvalidURI", f"the registry {chosen!r} is no address: {error}")
        if chosen == self._default.rstrip("/") or urls.admits(self._allowed, host):
            return chosen, None
        hint = f"let the administrator add {host!r} to SLUICE_ALLOWED_REGISTRIES or leave trackingURI out"
        return chosen, Unresolved("RegistryNotAllowed", f"the registry {chosen} is not on the operator's list: {hint}")

    async def _ask(self, uri: str, base: str, refused: Unresolved | None) -> Resolution:
        if refused is not None:
            return refused
        form = uris.parse(uri)
        try:
            return await self._resolve(form, base)
        except _NotFoundError as error:
            return Unresolved(*_nothing_there(form, str(error)))
        except _UNUSABLE as error:
            return Unreachable(f"MLflow at {base} gave no usable answer: {str(error) or type(error).__name__}")

    async def _resolve(self, form: uris.ModelUri, base: str) -> Resolution:
        match form:
            case uris.Unreadable(message):
                return Unresolved("InvalidURI", message)
            case uris.ByVersion(name, version):
                found = await self._get(base, "model-versions/get", name=name, version=version)
                return _registered(found["model_version"])
            case uris.ByAlias(name, alias):
                return _registered(await self._by_alias(base, name, alias))
            case uris.ByStage(name, stage):
                found = await self._get(base, "registered-models/get-latest-versions", name=name, stages=stage)
                if not found.get("model_versions"):
                    raise _NotFoundError(f"no version of {name} is in stage {stage}")
                return _registered(found["model_versions"][0])
            case uris.LoggedModel(model_id):
                info = (await self._get(base, f"logged-models/{model_id}"))["model"]["info"]
                run_id = info.get("source_run_id", "")
                return Resolved(Model(f"models:/{model_id}", info.get("name", model_id), model_id, run_id))
            case uris.RunModel(run_id, path):
                run = (await self._get(base, "runs/get", run_id=run_id))["run"]
                name = run["info"].get("run_name", run_id)
                return Resolved(Model(f"runs:/{run_id}/{path}", name, run_id[:8], run_id))

    async def _by_alias(self, base: str, name: str, alias: str) -> dict[str, Any]:
        found = await self._get(base, "registered-models/alias", name=name, alias=alias)
        version: dict[str, Any] = found["model_version"]
        return version

    async def _get(self, base: str, path: str, **params: str) -> dict[str, Any]:
        answer = await self._client.get(f"{base}/api/2.0/mlflow/{path}", params=params, timeout=_TIMEOUT_SECONDS)
        if answer.status_code in (400, 404):
            problem = answer.json()
            if problem.get("error_code") in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise _NotFoundError(problem.get("message", ""))
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body


def _registered(found: dict[str, Any]) -> Resolution:
    name, version = found["name"], str(found["version"])
    uri = f"models:/{name}/{version}"
    if found.get("status", "READY") != "READY":
        return Unresolved("ModelNotReady", f"{uri} is {found['status']} in the registry: wait, or register it again")
    return Resolved(Model(uri, name, version, found.get("run_id", ""), found.get("source", "")))


def _nothing_there(form: uris.ModelUri, said: str) -> tuple[str, str]:
    match form:
        case uris.ByAlias(name) if "Registered Model with name" in said:
            return "ModelNotFound", f"MLflow has no model {name!r}; correct model.uri ({said})"
        case uris.ByAlias(name, alias):
            return (
                "AliasNotFound",
                f"MLflow has no alias {alias!r} of model {name!r}; set it, or correct model.uri ({said})",
            )
        case uris.ByVersion(name, version):
            return "VersionNotFound", f"MLflow has no version {version} of model {name!r}; correct model.uri ({said})"
        case uris.ByStage(name, stage):
            return "StageEmpty", f"no version of model {name!r} is in stage {stage}; move one there ({said})"
        case _:
            return "ModelNotFound", f"MLflow does not have it; correct model.uri ({said})"
