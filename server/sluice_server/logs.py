"""Log records as JSON lines or as text, each with the correlation id of the request that caused it.

Those of a request that is traced also have its trace id.

Everything goes through the standard library's logging to standard error, and `event` past it, because a record takes
ten times as long there as the rest of a request. Headers and environment values are never
logged, so no secret can be; the features of a prediction are logged only for the sampled share.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
from msgspec import UNSET, UnsetType, field

from sluice_server.settings import LogFormat, LogSettings

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
trace_id: ContextVar[str] = ContextVar("trace_id", default="")  # empty: the request is not traced


def _now() -> datetime:
    return datetime.now(UTC)


def _traced() -> str | UnsetType:
    return trace_id.get() or UNSET


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A record of what happens with every request; kinds of events add their fields behind these.

    It is a struct because one is made and encoded in a quarter of the time of a dict.
    """

    timestamp: datetime = field(default_factory=_now)
    level: str = "INFO"
    logger: str
    message: str
    correlation_id: str = field(default_factory=correlation_id.get)
    trace_id: str | UnsetType = field(default_factory=_traced)  # left out where the request is not traced

    @property
    def fields(self) -> dict[str, Any]:
        """What the kind of event adds, as dicts and lists."""
        everything = msgspec.to_builtins(self, builtin_types=(datetime,), enc_hook=str)
        return {name: value for name, value in everything.items() if name not in Event.__struct_fields__}


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


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes records as JSON; events together, once in each turn of the event loop."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.setFormatter(JsonFormatter())
        self._encode_lines = msgspec.json.Encoder(enc_hook=str).encode_lines
        self._waiting: list[Event] = []

    def add(self, event: Event) -> None:
        """An event to be written at the end of this turn of the loop; at once where none runs."""
        self._waiting.append(event)
        if len(self._waiting) > 1:
            return
        try:
            asyncio.get_running_loop().call_soon(self._write)
        except RuntimeError:
            self._write()

    def _write(self) -> None:
        events, self._waiting = self._waiting, []
        try:
            lines = self._encode_lines(events).decode()
        except Exception:  # of one of them: the others are written all the same
            lines = "".join(map(self._line, events))
        self.acquire()
        try:
            self.stream.write(lines)
            self.flush()
        finally:
            self.release()

    def _line(self, event: Event) -> str:
        """An event alone, or what keeps it from being written."""
        try:
            return self._encode_lines([event]).decode()
        except Exception as error:
            lost = Event(level="WARNING", logger=event.logger, message=f"a record was lost: {type(error).__name__}")
            return self._encode_lines([lost]).decode()


def event(logger: logging.Logger, record: Event) -> None:
    """Logs what happens with every request, as `logger.info(message, extra={"fields": fields})` does."""
    if not logger.isEnabledFor(logging.INFO):
        return
    for handler in logging.root.handlers:
        if isinstance(handler, JsonHandler):
            handler.add(record)
            return
    logger.info(record.message, extra={"fields": record.fields})


def configure(settings: LogSettings, stream: TextIO = sys.stderr) -> None:
    """Sends every logger of the process through one handler in the wanted format."""
    handler: logging.Handler = JsonHandler(stream)
    if settings.format is LogFormat.TEXT:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(TextFormatter())
    logging.basicConfig(level=settings.level, handlers=[handler], force=True)


def _timestamp(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
