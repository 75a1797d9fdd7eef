"""Log records as JSON lines or as text, each with the correlation id of the request that caused it.

Those of a request that is traced also have its trace id.

Everything goes through the standard library's logging to standard error. Headers and environment values are never
logged, so no secret can be; the features of a prediction are logged only for the sampled share.
"""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from sluice_server.settings import LogFormat, LogSettings

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
trace_id: ContextVar[str] = ContextVar("trace_id", default="")  # empty: the request is not traced


class JsonFormatter(logging.Formatter):
    """One JSON object per record; a dict given as `extra={"fields": {...}}` is merged into it."""

    def __init__(self) -> None:
        super().__init__()
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "timestamp": _timestamp(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "correlation_id": correlation_id.get(),
        }
        if trace := trace_id.get():
            entry["trace_id"] = trace
        entry.update(getattr(record, "fields", {}))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return self._encode(entry).decode()


class TextFormatter(logging.Formatter):
    """One line per record for a person at a terminal; fields follow as key=value."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        ids = {"correlation_id": correlation_id.get(), "trace_id": trace_id.get()}
        known = {name: value for name, value in ids.items() if value}
        tail = "".join(f" {key}={value}" for key, value in (known | fields).items())
        line = f"{_timestamp(record)} {record.levelname} {record.name}: {record.getMessage()}{tail}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(settings: LogSettings, stream: TextIO = sys.stderr) -> None:
    """Sends every logger of the process through one handler in the wanted format."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if settings.format is LogFormat.JSON else TextFormatter())
    logging.basicConfig(level=settings.level, handlers=[handler], force=True)


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
