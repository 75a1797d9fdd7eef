"""A terminal for `kubectl sluice`: a fake kubectl on the PATH, and a Prometheus in memory behind an address."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sluice_operator.api import names, run, status
from sluice_operator.cli.__main__ import main
from sluice_operator.controller.archive import summary
from sluice_operator.manifests import builders
from sluice_operator.records import run_record
from sluice_operator.records.run_record import RunRecord
from tests.unit.sluice_operator.build import NOW, OWNER, raw_spec, stable_on
from tests.unit.sluice_operator.fake_prometheus import FakePrometheus
from tests.unit.sluice_operator.recorded import OBJECTIVES, a_run, recorded, ticks

_KUBECTL = """#!/bin/sh
echo "$@" >> {folder}/calls
case "$*" in
*configmaps*) cat {folder}/configmaps ;;
auth*) cat {folder}/user ;;
annotate*) if rm {folder}/conflict 2>/dev/null; then echo 'the object has been modified' >&2; exit 1; fi
  cat {folder}/object ;;
wait*) cat {folder}/answer 2>/dev/null || {{ echo 'error: timed out waiting for the condition' >&2; exit 1; }} ;;
*apply*|*iris*) cat {folder}/object ;;
*) echo 'Error from server (NotFound): modeldeployments.sluice.dev "'$3'" not found' >&2; exit 1 ;;
esac
"""


def a_record(bad: float = 0.001, **changes: Any) -> RunRecord:
    run = a_run(step_seconds=100.0, **changes)
    return recorded(run, ticks(run, bad=bad))


def config_map(record: RunRecord) -> dict[str, Any]:
    return builders.run_record(OWNER, record.run.id, summary(record.run), run_record.encoded(record))


class Terminal:
    """A folder with a fake kubectl and the answers that it gives; and what the command printed."""

    def __init__(self, folder: Path, printed: pytest.CaptureFixture[str]) -> None:
        self.folder, self._printed = folder, printed
        program = folder / "kubectl"
        program.write_text(_KUBECTL.format(folder=folder))
        program.chmod(0o755)
        (folder / "user").write_text(json.dumps({"status": {"userInfo": {"username": "jane@example.com"}}}))
        self.set_records()
        self.set_object(raw_spec(objectives=OBJECTIVES), status.dump(stable_on(1).status))

    def set_records(self, *records: RunRecord) -> None:
        (self.folder / "configmaps").write_text(json.dumps({"items": [config_map(record) for record in records]}))

    def set_object(self, wanted: dict[str, Any], current: dict[str, Any], command: str = "") -> None:
        annotations = {names.ANNOTATION_COMMAND: command} if command else {}
        metadata = {"name": "iris", "namespace": "models", "resourceVersion": "7", "annotations": annotations}
        body = {"kind": names.KIND, "metadata": metadata, "spec": wanted, "status": current}
        (self.folder / "object").write_text(json.dumps(body, indent=4) + "\n")

    def set_answer(self, answer: run.Answer, message: str) -> None:
        """What the operator answers to the next command."""
        taken = run.TakenCommand("abort/x/0/2026-03-01T12:00:00Z", "kubectl-sluice:jane", NOW, answer, message)
        current = status.dump(status.Status(last_command=taken))
        body = {"kind": names.KIND, "metadata": {"name": "iris"}, "spec": raw_spec(), "status": current}
        (self.folder / "answer").write_text(json.dumps(body))

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run `kubectl sluice`. Returns exit code, output and errors."""
        code = main(arguments)
        out, err = self._printed.readouterr()
        return code, out, err

    def printed(self) -> str:
        """What was printed since the last time."""
        return self._printed.readouterr().out

    @property
    def kubectl_calls(self) -> list[str]:
        """The arguments of each call of kubectl."""
        return (self.folder / "calls").read_text().splitlines()


class PrometheusServer:
    """A Prometheus in memory behind an address; `authorizations`: that header of each request."""

    def __init__(self, prometheus: FakePrometheus) -> None:
        authorizations: list[str | None] = []
        self.authorizations = authorizations

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                authorizations.append(self.headers.get("Authorization"))
                parameters = {key: value[0] for key, value in parse_qs(urlsplit(self.path).query).items()}
                query, ranged = parameters["query"], "query_range" in self.path
                if ranged:
                    since, until = (datetime.fromtimestamp(float(parameters[end]), UTC) for end in ("start", "end"))
                    result = prometheus.custom_query_range(query, since, until, parameters["step"])
                else:
                    result = prometheus.custom_query(query, {"time": float(parameters["time"])})
                kind = "matrix" if ranged else "vector"
                text = json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self) -> str:
        self.thread.start()
        return self.address

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
