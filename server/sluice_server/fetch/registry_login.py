"""Which hosts get the registry's credentials: its own, and no other one that it names.

MLflow gives them to each http address of files. But such an address is what somebody wrote who may register a model, so
it may lead to a host of theirs.
"""

from __future__ import annotations

from typing import Any

from mlflow import get_registry_uri, get_tracking_uri
from mlflow.store.artifact import http_artifact_repo, mlflow_artifacts_repo
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import MlflowHostCreds
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

_PORTS = {"http": 80, "https": 443}

OTHER_HOST = (
    "it is not the registry's host, so it does not get the registry's credentials: start MLflow with "
    "--serve-artifacts, so that it serves the files itself, or let that host serve them without a login"
)


def keep_to_own_hosts() -> None:
    """Have MLflow's clients of files ask other hosts than the registry's without its credentials."""
    for module in (http_artifact_repo, mlflow_artifacts_repo):
        module.get_default_host_creds = credentials_for  # what each of them calls for each request


def credentials_for(address: str) -> Any:
    """MLflow's credentials for an address of the registry; for another host what it is known by, and no secret."""
    login = get_default_host_creds(address)
    if is_own(address):
        return login
    return MlflowHostCreds(
        address, ignore_tls_verification=login.ignore_tls_verification, server_cert_path=login.server_cert_path
    )


def is_own(address: str) -> bool:
    """Whether scheme, host and port of an address are those of the registry."""
    place = _place(address)
    return place is not None and place in (_place(get_tracking_uri()), _place(get_registry_uri()))


def _place(address: str) -> tuple[str, str, int] | None:
    """As the client of http itself takes an address apart; None for what is none."""
    try:
        parsed = parse_url(address)
    except LocationParseError:
        return None
    if parsed.scheme not in _PORTS or not parsed.host:
        return None
    return parsed.scheme, parsed.host.lower().rstrip("."), parsed.port or _PORTS[parsed.scheme]
