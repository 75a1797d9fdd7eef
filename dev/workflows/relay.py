"""`python -m dev.workflows.relay`: from a webhook of MLflow to a workflow of GitHub (`repository_dispatch`).

MLflow signs what it sends, and can neither set headers nor another body; GitHub wants a token and a body of its own.
This is the little that is missing between the two. docs/workflows.md has the settings of both sides.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

EVENT_TYPE = "mlflow-model-promoted"
_MOST_BYTES = 64 * 1024
_SKEW = 300.0  # seconds between the clocks of MLflow and this machine; also how long an old message can be sent again
_REMEMBERED = 10_000  # ids of deliveries
_HEADERS = "Delivery-Id", "Timestamp", "Signature"
_SECONDS_TO_SEND = 10.0  # MLflow waits for 30


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alias of which model starts the workflow. MLflow sends the events of all models."""

    model: str
    alias: str


@dataclass(frozen=True, slots=True)
class GitHub:
    """Where the dispatch goes. `repository`: owner/name."""

    api: str
    repository: str
    token: str

    def dispatch(self, payload: Mapping[str, str]) -> int:
        """The status that GitHub answers with. Raises httpx.HTTPError."""
        answer = httpx.post(
            f"{self.api}/repos/{self.repository}/dispatches",
            headers={"Authorization": f"Bearer {self.token}", "Accept": "application/vnd.github+json"},
            json={"event_type": EVENT_TYPE, "client_payload": payload},
            timeout=_SECONDS_TO_SEND,
        )
        return answer.status_code


@dataclass(frozen=True, slots=True)
class Delivery:
    """What MLflow's headers say of a message. `sent`: unix seconds, as text."""

    id: str
    sent: str
    signature: str


def signed(secret: str, delivery: Delivery, body: bytes, now: float) -> bool:
    """Whether MLflow has sent this, not long ago. `now`: unix seconds."""
    if not delivery.sent.isdecimal() or len(delivery.sent) > 12 or abs(now - int(delivery.sent)) > _SKEW:
        return False
    code = hmac.new(secret.encode(), f"{delivery.id}.{delivery.sent}.".encode() + body, hashlib.sha256).digest()
    expected = f"v1,{base64.b64encode(code).decode()}"
    return hmac.compare_digest(expected.encode(), delivery.signature.encode())


def payload(event: Any, wanted: Wanted) -> dict[str, str] | None:
    """What the workflow gets of an event: the version by its number. None for all other events."""
    match event:
        case {
            "entity": "model_version_alias",
            "action": "created",  # of an alias that moves, too
            "data": {"name": wanted.model, "alias": wanted.alias, "version": version},
        } if str(version).isdecimal():
            return {"model_uri": f"models:/{wanted.model}/{version}", "alias": wanted.alias}
    return None


class Relay(ThreadingHTTPServer):
    """Listens for MLflow. 401: its signature is missing; 502: GitHub does not take it, and MLflow tries again."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], secret: str, wanted: Wanted, github: GitHub) -> None:
        super().__init__(address, _Handler)
        self.secret, self.wanted, self.github = secret, wanted, github
        self._sent: dict[str, None] = {}  # the last ones last
        self._lock = threading.Lock()

    def relayed(self, delivery: str, event: Any) -> int:
        """Hand an event on, once. Returns the status for MLflow."""
        found = payload(event, self.wanted)
        if found is None:
            return 204
        with self._lock:
            if delivery in self._sent:
                return 204
            try:
                status = self.github.dispatch(found)
            except httpx.HTTPError as error:
                status = 0
                print(f"GitHub does not answer: {type(error).__name__}", file=sys.stderr, flush=True)
            print(f"{found['model_uri']}: GitHub answered {status}", flush=True)
            if not 200 <= status < 300:
                return 502
            self._sent[delivery] = None
            if len(self._sent) > _REMEMBERED:
                del self._sent[next(iter(self._sent))]
        return 204


class _Handler(BaseHTTPRequestHandler):
    server: Relay
    timeout = 10  # seconds for a request to come

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or len(size) > 9 or int(size) > _MOST_BYTES:
            return self._answer(413)
        body = self.rfile.read(int(size))
        delivery = Delivery(*(self.headers.get(f"X-MLflow-{name}", "") for name in _HEADERS))
        if not signed(self.server.secret, delivery, body, time.time()):
            return self._answer(401)
        try:
            event = json.loads(body)
        except ValueError:
            return self._answer(400)
        return self._answer(self.server.relayed(delivery.id, event))

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Log no requests: anybody can send some."""


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Serve until the process is ended. Exit code 2 if a variable is missing."""
    needed = ("MLFLOW_WEBHOOK_SECRET", "MLFLOW_MODEL_NAME", "GITHUB_REPOSITORY", "GITHUB_TOKEN")
    if missing := [name for name in needed if not environment.get(name)]:
        print(f"set {', '.join(missing)}: see docs/workflows.md", file=sys.stderr)
        return 2
    secret, model, repository, token = (environment[name] for name in needed)
    wanted = Wanted(model, environment.get("MLFLOW_MODEL_ALIAS", "champion"))
    github = GitHub(environment.get("GITHUB_API_URL", "https://api.github.com"), repository, token)
    address = environment.get("RELAY_HOST", "0.0.0.0"), int(environment.get("RELAY_PORT", "8000"))
    with Relay(address, secret, wanted, github) as relay:
        print(f"listening at port {relay.server_port} for alias {wanted.alias} of {wanted.model}", flush=True)
        relay.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
