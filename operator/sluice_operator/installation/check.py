"""`python -m sluice_operator.installation.check`: whether an operator works, and reaches what it needs.

The pod of `helm test` runs it with the operator's settings and credentials, so it is refused what the operator is. Each
line says what is well, or what to do.
"""

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
from kubernetes.aio import client

from sluice_operator import settings as environment
from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.api.observation import Denied
from sluice_operator.api.owner import Manifest
from sluice_operator.http_client import Http, HttpClient, HttpError, Request
from sluice_operator.installation.outcome import CheckError, Line
from sluice_operator.installation.rights import rights_are_granted
from sluice_operator.installation.scraping import model_servers_are_scraped
from sluice_operator.kubernetes.client import ApiServer
from sluice_operator.kubernetes.configuration import configuration
from sluice_operator.kubernetes.lease import RETRY
from sluice_operator.kubernetes.port import Kube, NoAnswer, ReadRefused, WriteRefused
from sluice_operator.kubernetes.shard import NamespaceSource
from sluice_operator.mlflow.connection import Connection, Logins
from sluice_operator.mlflow.rest import Api, DeniedError, NotFoundError, UnusableError
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.renewal import from_folder
from sluice_operator.settings import Settings

_LOOKS = 31  # at the Lease, so for a minute: an operator that has just started waits for a quarter of it
_RENEWALS = 4  # that are seen: an operator that an upgrade has just ended gives the Lease back after a moment
_TIMEOUT = 5.0  # seconds, of one answer

Check = Callable[[], Awaitable[str]]
Pause = Callable[[float], Awaitable[None]]


class Leases(Protocol):
    """Reads a Lease."""

    async def get(self, kind: str, namespace: str, name: str) -> Manifest | None: ...


async def operator_works(leases: Leases, settings: Settings, pause: Pause = asyncio.sleep) -> str:
    """An operator works if it goes on renewing the Lease. Raises CheckError after a minute in which none did."""
    where, before, renewals = f"{settings.lease_namespace}/{settings.lease_name}", ("", ""), 0
    for _ in range(_LOOKS):
        lease = await leases.get("Lease", settings.lease_namespace, settings.lease_name)
        spec = (lease or {}).get("spec") or {}
        now = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
        renewals = renewals + (now[1] != before[1]) if now[0] and now[0] == before[0] else 0
        if renewals == _RENEWALS:
            return f"an operator works: {now[0]} renews the Lease {where}"
        before = now
        await pause(RETRY)
    hint = f"the last lines of its log say why: kubectl logs deployment/NAME -n {settings.lease_namespace}"
    raise CheckError(f"no operator works: nobody has renewed the Lease {where} for a minute. {hint}")


async def mlflow_answers(http: Http, kube: Kube, settings: Settings) -> str:
    """MLflow takes the operator's credentials. Raises CheckError."""
    base = settings.tracking_uri
    login = await Logins(kube, settings.registry_credentials).of(Connection())
    if isinstance(login, Denied):
        raise CheckError(f"MLflow is not asked: {login.message}")
    try:
        await Api(http, base, login).get(dict[str, Any], "registered-models/search", max_results="1")
    except DeniedError as error:
        raise CheckError(str(error)) from error
    except (UnusableError, NotFoundError) as error:
        raise CheckError(f"MLflow at {base} gave no answer: {error}. Is mlflow.url right?") from error
    except msgspec.ValidationError as error:
        raise CheckError(
            f"MLflow at {base} gave an answer that is not MLflow's ({error}). Is mlflow.url right?"
        ) from error
    return f"MLflow answers at {base}"


async def prometheus_answers(reader: Reader, settings: Settings) -> str:
    """Prometheus takes the operator's credentials, and its clock is right. Raises CheckError."""
    try:
        ahead = await reader.ahead()
    except MetricsLostError as error:
        raise CheckError(f"{error}. Is prometheus.url right ({settings.prometheus_url})?") from error
    allowed = max(settings.scrape_interval, 5.0)
    if abs(ahead) > allowed:
        raise CheckError(f"the clock of Prometheus differs by {abs(ahead):.0f} s: set both by NTP")
    return f"Prometheus answers at {settings.prometheus_url}"


async def gateway_listens(settings: Settings) -> str:
    """All gateways take connections. What they answer depends on the host that is asked for. Raises CheckError."""
    addresses = (settings.gateway_address, *settings.gateway_addresses.values())
    for address in addresses:
        await _listens(address)
    return f"the gateway takes connections at {', '.join(addresses)}"


async def _listens(url: str) -> None:
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        async with asyncio.timeout(_TIMEOUT):
            _, writer = await asyncio.open_connection(address.hostname, port)
    except (OSError, TimeoutError) as error:
        why, hint = _why(error), "Is gateway.address right?"
        raise CheckError(f"the gateway at {url} takes no connection: {why}. {hint}") from error
    writer.close()


def _why(error: OSError) -> str:
    """Why there is no connection. The words of the event loop are about its own calls."""
    match error:
        case TimeoutError():
            return "it took too long"
        case socket.gaierror():
            return f"its name is not found ({error.strerror})"
        case OSError(errno=int(number)):
            return os.strerror(number)
        case _:  # several addresses, each with a reason of its own
            return in_one_line(str(error))


async def store_answers(http: Http, settings: Settings) -> str:
    """The store reaches its files and its database. Raises CheckError."""
    deadline = asyncio.get_running_loop().time() + _TIMEOUT
    url = settings.store_url
    try:
        answer = await http.ask(Request("GET", f"{url}/health", _TIMEOUT, deadline, max_bytes=10_000))
    except HttpError as error:
        raise CheckError(f"the store at {url} gave no answer: {error}") from error
    if answer.status != 200:
        said = (answer.body or b"").decode(errors="replace")[:200]
        raise CheckError(f"the store at {url} cannot work: HTTP {answer.status}, {said}")
    return f"the store answers at {url}"


async def namespaces_are_found(source: NamespaceSource, settings: Settings) -> str:
    """The API server says which namespaces have the labels that the operator works in. Raises CheckError."""
    try:
        found = await source.namespaces(settings.namespace_selector)
    except (NoAnswer, ReadRefused) as error:
        where = f"no namespace is watched, because those with {settings.namespace_selector} cannot be listed"
        raise CheckError(f"{where}: {error}. Is SLUICE_NAMESPACE_SELECTOR right?") from error
    hint = "" if found else ": give it to the namespaces of your models"
    return f"{len(found)} namespaces with {settings.namespace_selector} are watched{hint}"


async def results(checks: Mapping[str, Check]) -> list[Line]:
    """All checks at once, in their order. Each has a name for people."""
    return list(await asyncio.gather(*(_result(name, check) for name, check in checks.items())))


async def _result(name: str, check: Check) -> Line:
    """Whatever one check meets, the lines of the others are not lost."""
    try:
        return Line(True, await check())
    except (CheckError, MetricsLostError) as error:
        return Line(False, str(error))
    except (NoAnswer, ReadRefused, WriteRefused, TimeoutError) as error:
        return Line(False, f"the API server: {str(error) or 'it took too long'}")
    except Exception as error:
        return Line(False, f"{name} cannot be checked: {type(error).__name__}: {in_one_line(str(error))}")


async def _run(settings: Settings, rights: bool) -> list[Line]:
    reader = Reader(from_folder(settings.prometheus_url, settings.prometheus_credentials))
    async with (
        client.ApiClient(await configuration()) as api,
        HttpClient("mlflow") as mlflow,
        HttpClient("store") as store,
    ):
        server = ApiServer(api)
        checks: dict[str, Check] = {"the operator": lambda: operator_works(server, settings)}
        if rights:
            checks["its account"] = lambda: rights_are_granted(server, settings)
        if rights and settings.namespace_selector:
            checks["its namespaces"] = lambda: namespaces_are_found(server, settings)
        checks |= {
            "MLflow": lambda: mlflow_answers(mlflow, server, settings),
            "Prometheus": lambda: prometheus_answers(reader, settings),
            "the scraping of model servers": lambda: model_servers_are_scraped(reader, settings),
            "the gateway": lambda: gateway_listens(settings),
        }
        if settings.store_url:
            checks["the store"] = lambda: store_answers(store, settings)
        return await results(checks)


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 1 if something is not well, 2 for settings that cannot be used."""
    parser = argparse.ArgumentParser("sluice_operator.installation.check", description="Whether Sluice can work.")
    parser.add_argument("--rights", action="store_true", help="also whether this account may do what the operator does")
    options = parser.parse_args(arguments)
    try:
        settings = environment.read(os.environ)
    except ValueError as error:
        print(Line(False, f"the settings cannot be used: {error}"))
        return 2
    lines = asyncio.run(_run(settings, options.rights))
    print(*lines, sep="\n")
    return 0 if all(line.is_well for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
