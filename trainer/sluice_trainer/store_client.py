"""Reads kept predictions from Sluice's store (docs/store.md). The token is a file, as in pods of the model server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.util import Retry

from sluice_trainer import labelled
from sluice_trainer.errors import UnusableError
from sluice_trainer.labelled import LabelledRow, Window

_PATIENCE = 60.0  # seconds, for the next bytes
_BUSY = Retry(total=4, connect=1, read=0, status_forcelist=[503], backoff_factor=1, raise_on_status=False)
_SHOWN = 300  # characters of an answer


@dataclass(frozen=True, slots=True)
class Store:
    """The store at `url`, without a slash at its end. `token`: of the namespace; empty for an open store."""

    url: str
    token: str

    def fetch(self, model_deployment: str, window: Window) -> list[LabelledRow]:
        """The rows of a ModelDeployment in the window that have a label. Raises UnusableError."""
        url = f"{self.url}/predictions/{model_deployment}"
        found: list[LabelledRow] = []
        try:
            with self._session() as session:
                listed = self._checked(session.get(url, timeout=_PATIENCE)).json()["days"]
                for day in window.days(listed):
                    with session.get(url, params={"day": day}, stream=True, timeout=_PATIENCE) as answer:
                        found += labelled.rows(self._checked(answer).iter_lines(), window)
        except (labelled.NoRowError, KeyError, TypeError, requests.JSONDecodeError) as error:
            raise UnusableError(
                f"what {self.url} answers is not that of a store ({error}): check the address"
            ) from None
        except RequestException as error:
            raise UnusableError(
                f"the store at {self.url} does not answer: check --store-url or SLUICE_STORE_URL, and that it runs "
                f"({_reason(error)})"
            ) from None
        return found

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        with requests.Session() as session:
            session.mount("http://", HTTPAdapter(max_retries=_BUSY))
            session.mount("https://", HTTPAdapter(max_retries=_BUSY))
            if self.token:
                session.headers["Authorization"] = f"Bearer {self.token}"
            yield session

    def _checked(self, answer: requests.Response) -> requests.Response:
        if answer.status_code == requests.codes.ok:
            return answer
        said = f"HTTP {answer.status_code}, {answer.text[:_SHOWN]}"
        if answer.status_code in (401, 403):
            raise UnusableError(
                f"the store at {self.url} refuses the token ({said}): SLUICE_STORE_TOKEN_FILE must be a file with that "
                "of the namespace, see docs/store.md#who-may-do-what"
            )
        raise UnusableError(f"the store at {self.url} does not give the rows: {said}")


def connected(url: str | None) -> Store:
    """The store at `url`, or at $SLUICE_STORE_URL, with the token of $SLUICE_STORE_TOKEN_FILE. Raises UnusableError."""
    address = url or os.environ.get("SLUICE_STORE_URL", "")
    if not address.startswith(("http://", "https://")):
        raise UnusableError("name the store with --store-url or SLUICE_STORE_URL, such as http://sluice-store:8090")
    file = Path(os.environ.get("SLUICE_STORE_TOKEN_FILE", "/etc/sluice/store/token"))
    try:
        token = file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        token = ""
    except OSError as error:
        raise UnusableError(f"SLUICE_STORE_TOKEN_FILE is '{file}', which cannot be read: {error.strerror}") from None
    if len(token.split()) > 1:
        raise UnusableError(f"SLUICE_STORE_TOKEN_FILE is '{file}', which has more than a token in it")
    return Store(address.rstrip("/"), token)


def _reason(error: BaseException) -> str:
    """What the innermost exception says: the others repeat it in more and more words."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error)[:_SHOWN]
