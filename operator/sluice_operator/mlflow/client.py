"""Asks MLflow's REST API which model version a URI names now.

Three results must never be mixed up: a model, no such model, and no usable answer. A few GETs are enough for that, so
the operator does not need MLflow's own client with its long retries.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from sluice_operator.api import urls
from sluice_operator.api.observation import HoldOut, Resolution, Resolved, Unreachable, Unresolved
from sluice_operator.api.status import Model
from sluice_operator.mlflow import hold_out, uris

_TIMEOUT_SECONDS = 5.0
_ERROR_CACHED_SECONDS = 5.0
_FORGOTTEN_AFTER_SECONDS = 3600.0
# What a request, or the parsing of its answer, raises if the answer cannot be used.
_UNUSABLE = (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, AttributeError)


class _NotFoundError(Exception):
    """MLflow answered that there is no such thing."""


@dataclass(frozen=True, slots=True)
class _Cached:
    """A resolution, and when MLflow gave it (seconds of a monotonic clock)."""

    resolution: Resolution
    asked_at: float

    def is_fresh(self, now: float, poll_seconds: float) -> bool:
        """Whether it can be used without a new request. Without a model, the next request comes sooner."""
        is_model = isinstance(self.resolution, Resolved)
        return now < self.asked_at + (poll_seconds if is_model else min(poll_seconds, _ERROR_CACHED_SECONDS))


class Registry:
    """Resolves model URIs, and moves aliases.

    `default_uri`: of the registry for objects that name none. `allowed_hosts`: patterns of `host:port` that other
    tracking URIs may name. An answer is cached for the poll interval and shared by all objects with the same URI.
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
        self._cache: dict[tuple[str, str], _Cached] = {}  # by tracking URI and model URI

    async def resolve(self, uri: str, tracking_uri: str, poll_seconds: float) -> Resolution:
        """The model version that `uri` names now, at most `poll_seconds` old."""
        key, now = (tracking_uri or self._default, uri), self._clock()
        cached = self._cache.get(key)
        if cached is not None and cached.is_fresh(now, poll_seconds):
            return cached.resolution
        resolution = await self._ask(uri, *self._base(tracking_uri))
        self._forget_before(now - _FORGOTTEN_AFTER_SECONDS)
        self._cache[key] = _Cached(resolution, self._clock())
        return resolution

    def _forget_before(self, moment: float) -> None:
        self._cache = {key: cached for key, cached in self._cache.items() if cached.asked_at > moment}

    async def alias_version(self, tracking_uri: str, name: str, alias: str) -> str | None:
        """The version that `alias` of model `name` points to. None if there is no such alias, or no usable answer."""
        base, refused = self._base(tracking_uri)
        if refused:
            return None
        try:
            return str((await self._by_alias(base, name, alias))["version"])
        except (_NotFoundError, *_UNUSABLE):
            return None

    async def hold_out(self, model: Model, tracking_uri: str) -> HoldOut | Unresolved | Unreachable:
        """The result of `model` on its hold-out, from metrics and tags of the MLflow run that made it."""
        base, refused = self._base(tracking_uri)
        if refused is not None:
            return refused
        try:
            return hold_out.parse(model, (await self._get(base, "runs/get", run_id=model.run_id))["run"]["data"])
        except _NotFoundError as error:
            return Unresolved("HoldOutMissing", f"MLflow does not have the {hold_out.run_of(model)} ({error})")
        except _UNUSABLE as error:
            return Unreachable(f"MLflow at {base} gave no usable answer: {str(error) or type(error).__name__}")

    async def set_alias(self, tracking_uri: str, name: str, alias: str, version: str) -> None:
        """Point `alias` of model `name` to `version`. Idempotent. Raises httpx.HTTPError if MLflow does not do it."""
        base, refused = self._base(tracking_uri)
        if refused:
            raise httpx.RequestError(refused.message)
        body = {"name": name, "alias": alias, "version": version}
        answer = await self._client.post(f"{base}/api/2.0/mlflow/registered-models/alias", json=body)
        answer.raise_for_status()

    def _base(self, tracking_uri: str) -> tuple[str, Unresolved | None]:
        """The registry's address, and why it may not be asked, if it may not."""
        base = (tracking_uri or self._default).rstrip("/")
        try:
            host = urls.host(base)
        except ValueError as error:
            return base, Unresolved("InvalidURI", f"the registry {base!r} is no address: {error}")
        if base == self._default.rstrip("/") or urls.admits(self._allowed, host):
            return base, None
        hint = f"let the administrator add {host!r} to SLUICE_ALLOWED_REGISTRIES or leave trackingURI out"
        return base, Unresolved("RegistryNotAllowed", f"the registry {base} is not on the operator's list: {hint}")

    async def _ask(self, uri: str, base: str, refused: Unresolved | None) -> Resolution:
        if refused is not None:
            return refused
        form = uris.parse(uri)
        try:
            return await self._resolve(form, base)
        except _NotFoundError as error:
            return _not_found(form, str(error))
        except _UNUSABLE as error:
            return Unreachable(f"MLflow at {base} gave no usable answer: {str(error) or type(error).__name__}")

    async def _resolve(self, form: uris.ModelUri, base: str) -> Resolution:
        match form:
            case uris.Unreadable(message):
                return Unresolved("InvalidURI", message)
            case uris.ByVersion(name, version):
                answer = await self._get(base, "model-versions/get", name=name, version=version)
                return _registered(answer["model_version"])
            case uris.ByAlias(name, alias):
                return _registered(await self._by_alias(base, name, alias))
            case uris.ByStage(name, stage):
                answer = await self._get(base, "registered-models/get-latest-versions", name=name, stages=stage)
                if not answer.get("model_versions"):
                    raise _NotFoundError(f"no version of {name} is in stage {stage}")
                return _registered(answer["model_versions"][0])
            case uris.LoggedModel(model_id):
                info = (await self._get(base, f"logged-models/{model_id}"))["model"]["info"]
                run_id = info.get("source_run_id", "")
                return Resolved(Model(f"models:/{model_id}", info.get("name", model_id), model_id, run_id))
            case uris.RunModel(run_id, path):
                run = (await self._get(base, "runs/get", run_id=run_id))["run"]
                name = run["info"].get("run_name", run_id)
                return Resolved(Model(f"runs:/{run_id}/{path}", name, run_id[:8], run_id))

    async def _by_alias(self, base: str, name: str, alias: str) -> dict[str, Any]:
        answer = await self._get(base, "registered-models/alias", name=name, alias=alias)
        model_version: dict[str, Any] = answer["model_version"]
        return model_version

    async def _get(self, base: str, path: str, **params: str) -> dict[str, Any]:
        answer = await self._client.get(f"{base}/api/2.0/mlflow/{path}", params=params, timeout=_TIMEOUT_SECONDS)
        if answer.status_code in (400, 404):
            problem = answer.json()
            if problem.get("error_code") in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise _NotFoundError(problem.get("message", ""))
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body


def _registered(model_version: dict[str, Any]) -> Resolution:
    name, version = model_version["name"], str(model_version["version"])
    uri = f"models:/{name}/{version}"
    if (state := model_version.get("status", "READY")) != "READY":
        return Unresolved("ModelNotReady", f"{uri} is {state} in the registry: wait, or register it again")
    return Resolved(Model(uri, name, version, model_version.get("run_id", ""), model_version.get("source", "")))


def _not_found(form: uris.ModelUri, answer: str) -> Unresolved:
    """What to correct in a URI of this form. `answer`: MLflow's own message."""
    match form:
        case uris.ByAlias(name) if "Registered Model with name" in answer:
            reason, hint = "ModelNotFound", f"MLflow has no model {name!r}; correct model.uri"
        case uris.ByAlias(name, alias):
            reason = "AliasNotFound"
            hint = f"MLflow has no alias {alias!r} of model {name!r}; set it, or correct model.uri"
        case uris.ByVersion(name, version):
            reason, hint = "VersionNotFound", f"MLflow has no version {version} of model {name!r}; correct model.uri"
        case uris.ByStage(name, stage):
            reason, hint = "StageEmpty", f"no version of model {name!r} is in stage {stage}; move one there"
        case _:
            reason, hint = "ModelNotFound", "MLflow does not have it; correct model.uri"
    return Unresolved(reason, f"{hint} ({answer})")
