"""The MLflow that a workflow uses, asked by the operator's own client: address and login from MLflow's variables."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sluice_operator.api.observation import Denied, HoldOut, Resolved, Unreachable, Unresolved
from sluice_operator.api.revision import Model
from sluice_operator.credentials.entries import Credentials
from sluice_operator.http_client import HttpClient
from sluice_operator.mlflow.client import Registry
from sluice_operator.mlflow.connection import Connection, Login, Logins

Answer = TypeVar("Answer")


class NotResolvedError(Exception):
    """MLflow does not say which version is meant. The text is one sentence for the log of the workflow."""


class _FromEnvironment(Logins):
    """The login of MLflow's own variables, without a cluster."""

    def __init__(self) -> None:
        pass

    async def of(self, connection: Connection) -> Login | Denied:
        user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD"))
        token = "" if user else os.environ.get("MLFLOW_TRACKING_TOKEN", "")
        return Login(Credentials(token, user, password), "the environment")


def asked(question: Callable[[Registry], Awaitable[Answer]]) -> Answer:
    """The registry's answer to one question. Raises NotResolvedError if MLFLOW_TRACKING_URI names no server."""
    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not address.startswith(("http://", "https://")):
        raise NotResolvedError("MLFLOW_TRACKING_URI must be the address of an MLflow server")

    async def ask() -> Answer:
        async with HttpClient("mlflow") as client:
            return await question(Registry(client, address, logins=_FromEnvironment()))

    return asyncio.run(ask())


def resolved(uri: str) -> Model:
    """The version that a URI names now. Raises NotResolvedError."""
    match asked(lambda registry: registry.resolve(uri, Connection())):
        case Resolved(model):
            return model
        case Unresolved() | Unreachable() | Denied() as answer:
            raise NotResolvedError(f"{uri}: {answer.message}")
        case _:
            raise NotResolvedError(f"{uri}: MLflow has not answered")


def hold_out(model: Model) -> HoldOut | Unresolved:
    """The result of a version on its hold-out, as its run in MLflow has it. Raises NotResolvedError."""
    match asked(lambda registry: registry.hold_out(model, Connection())):
        case HoldOut() | Unresolved() as found:
            return found
        case Unreachable() | Denied() as answer:
            raise NotResolvedError(f"the run of {model.uri}: {answer.message}")
