"""A model, no such model, or no usable answer: asks MLflow's REST API which model version a URI names now.

These three results must never be mixed up. A few GETs are enough for that, so
the operator does not need MLflow's own client with its long retries.
"""

import msgspec

from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.api.observation import Denied, HoldOutAnswer, Resolution, Resolved, Unreachable, Unresolved
from sluice_operator.api.revision import Model
from sluice_operator.http_client import Http
from sluice_operator.mlflow import connection, hold_out, json_forms, uris
from sluice_operator.mlflow.connection import Connection, Login, Logins
from sluice_operator.mlflow.rest import Api, DeniedError, NotFoundError, UnusableError

_PRODUCTION = "production"
_PER_PAGE = 1_000  # registered models; MLflow gives no more
_UNEXPECTED = (msgspec.ValidationError, ArithmeticError)  # what reading another answer raises


class RegistryError(Exception):
    """The registry did not do what it was asked to. The message says why."""


class Listed(msgspec.Struct, frozen=True, gc=False):
    """An alias in a list of all: its version, and when the model was registered, so that another one is told apart."""

    version: str
    registered: str


class Registry:
    """Resolves model URIs, and moves aliases and stages.

    `default_uri`: of the registry for objects that name none. `allowed_hosts`: patterns of `host:port` that other
    tracking URIs may name.
    """

    def __init__(
        self,
        http: Http,
        default_uri: str,
        allowed_hosts: tuple[str, ...] = (),
        logins: Logins | None = None,
    ) -> None:
        self._http = http
        self._default = default_uri.rstrip("/")
        self._allowed = allowed_hosts
        self._logins = logins

    async def resolve(self, uri: str, via: Connection) -> Resolution:
        """The model version that `uri` names now."""
        form = uris.parse(uri)
        try:
            api = await self._api(via)
            return await self._resolve(form, api)
        except NotFoundError as error:
            return _not_found(form, str(error))
        except DeniedError as error:
            return error.denied
        except (UnusableError, *_UNEXPECTED) as error:
            return _unreachable(api.base, error)

    async def named_version(self, via: Connection, named: uris.Named) -> str | None:
        """The version that an alias points to, or that is in a stage. None if there is none, or no usable answer."""
        try:
            return str((await self._by_name(await self._api(via), named)).version)
        except (NotFoundError, DeniedError, UnusableError, *_UNEXPECTED):
            return None

    async def aliases(self, via: Connection, most: int) -> dict[tuple[str, str], Listed] | None:
        """All aliases, by name of the model and alias.

        None if they do not fit into the pages for `most` models, or if there is no usable answer.
        """
        found, page = dict[tuple[str, str], Listed](), ""
        try:
            api = await self._api(via)
            for _ in range(0, most, _PER_PAGE):
                asked = {"page_token": page} if page else {}
                path = "registered-models/search"
                listed = await api.get(json_forms.RegisteredModels, path, max_results=str(_PER_PAGE), **asked)
                for model in listed.registered_models:
                    registered = str(model.creation_timestamp)
                    for alias in model.aliases:
                        found[model.name, alias.alias] = Listed(str(alias.version), registered)
                if not (page := listed.next_page_token):
                    return found
        except (NotFoundError, DeniedError, UnusableError, *_UNEXPECTED):
            pass  # each model is asked for, and that tells what is wrong
        return None

    async def hold_out(self, model: Model, via: Connection) -> HoldOutAnswer:
        """The result of `model` on its hold-out, from metrics and tags of the MLflow run that made it."""
        try:
            api = await self._api(via)
            answer = await api.get(json_forms.OneRun, "runs/get", run_id=model.run_id)
            return hold_out.parse(model, answer.run.data)
        except NotFoundError as error:
            return Unresolved("HoldOutMissing", f"MLflow does not have the {hold_out.run_of(model)} ({error})")
        except DeniedError as error:
            return error.denied
        except (UnusableError, *_UNEXPECTED) as error:
            return _unreachable(api.base, error)

    async def move(self, via: Connection, named: uris.Named, version: str) -> None:
        """Have an alias or a stage name `version`. Versions that were in the stage before are archived.

        Idempotent. Raises RegistryError if MLflow does not do it, or if it would take the version out of Production.
        """
        body: dict[str, str | bool] = {"name": named.name, "version": version}
        match named:
            case uris.ByAlias():
                path, asked = "registered-models/alias", {"alias": named.alias}
            case uris.ByStage():
                path, asked = "model-versions/transition-stage", {"stage": named.stage}
                body["archive_existing_versions"] = True
        try:
            api = await self._api(via)
            if isinstance(named, uris.ByStage) and named.stage.lower() != _PRODUCTION:
                await _check_is_not_in_production(api, named.name, version)
            await api.post(path, {**body, **asked})
        except (NotFoundError, DeniedError, UnusableError) as error:
            raise RegistryError(str(error)) from error

    async def _api(self, via: Connection) -> Api:
        """The API that a connection leads to. Raises DeniedError."""
        base = connection.address(via, self._default, self._allowed)
        if isinstance(base, Denied):
            raise DeniedError(base)
        login = await self._login(via)
        if isinstance(login, Denied):
            raise DeniedError(login)
        return Api(self._http, base, login)

    async def _login(self, via: Connection) -> Login | Denied:
        return Login() if self._logins is None else await self._logins.of(via)

    async def _resolve(self, form: uris.ModelUri, api: Api) -> Resolution:
        match form:
            case uris.Unreadable(message):
                return Unresolved("InvalidURI", message)
            case uris.ByVersion(name, version):
                one = await api.get(json_forms.OneVersion, "model-versions/get", name=name, version=version)
                return _registered(one.model_version)
            case uris.ByAlias() | uris.ByStage():
                return _registered(await self._by_name(api, form))
            case uris.LoggedModel(model_id):
                logged = (await api.get(json_forms.OneLoggedModel, f"logged-models/{model_id}")).model.info
                named = in_one_line(logged.name or model_id)
                return Resolved(Model(f"models:/{model_id}", named, model_id, logged.source_run_id or ""))
            case uris.RunModel(run_id, path):
                run = (await api.get(json_forms.OneRun, "runs/get", run_id=run_id)).run
                name = in_one_line(run.info.run_name or run_id)
                return Resolved(Model(f"runs:/{run_id}/{path}", name, run_id[:8], run_id))

    async def _by_name(self, api: Api, named: uris.Named) -> json_forms.ModelVersion:
        match named:
            case uris.ByAlias(name, alias):
                path = "registered-models/alias"
                return (await api.get(json_forms.OneVersion, path, name=name, alias=alias)).model_version
            case uris.ByStage(name, stage):
                path = "registered-models/get-latest-versions"
                found = await api.get(json_forms.Versions, path, name=name, stages=stage)
                if not found.model_versions:
                    raise NotFoundError(f"no version of {name} is in stage {stage}")
                return found.model_versions[0]


async def _check_is_not_in_production(api: Api, name: str, version: str) -> None:
    """A version has one stage: another one would leave Production empty. Raises RegistryError."""
    found = await api.get(json_forms.OneVersion, "model-versions/get", name=name, version=version)
    if (found.model_version.current_stage or "").lower() == _PRODUCTION:
        raise RegistryError(
            f"version {version} is in Production, and a version has one stage: name it by an alias here"
        )


def _unreachable(base: str, error: Exception) -> Unreachable:
    what = str(error) if isinstance(error, UnusableError) else f"its JSON is not an answer of MLflow ({error})"
    return Unreachable(f"MLflow at {base} gave no usable answer: {what}")


def _registered(found: json_forms.ModelVersion) -> Resolution:
    uri = f"models:/{found.name}/{found.version}"
    if found.status != "READY":
        return Unresolved(
            "ModelNotReady", f"{uri} is {in_one_line(found.status)} in the registry: wait, or register it again"
        )
    return Resolved(Model(uri, found.name, str(found.version), found.run_id or "", found.source or ""))


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
