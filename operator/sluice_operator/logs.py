"""Logs as JSON, one object per line on standard error. What is logged about an object has its name in fields."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_fields: ContextVar[dict[str, str]] = ContextVar("fields", default={})  # noqa: B039 - never changed, only replaced


class JsonFormatter(logging.Formatter):
    """The keys are timestamp, level, logger and message, then the fields; with a traceback also exception."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields.get(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


@contextmanager
def about(namespace: str, name: str) -> Iterator[None]:
    """All lines that are logged inside, also by threads that are started there, have these fields."""
    token = _fields.set({"namespace": namespace, "name": name})
    try:
        yield
    finally:
        _fields.reset(token)


def about_run(run: str, revision: str) -> None:
    """From here on, lines about the object have these fields, too. Empty ones are left out."""
    known = {key: value for key, value in (("run", run), ("revision", revision)) if value}
    _fields.set(_fields.get() | known)


def configure(level: str) -> None:
    """Log messages of `level` and above. Libraries that log every request log warnings and errors only."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for library in ("kopf", "aiohttp", "urllib3"):
        logging.getLogger(library).setLevel(logging.WARNING)
