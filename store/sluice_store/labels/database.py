"""The database of labels: SQLite or PostgreSQL, and what its connections need so that none waits for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from sluice_store.settings import SettingError

_WAIT = 5  # seconds for a connection, or for the lock of another writer
_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


def engine(url: str) -> Engine:
    """Makes its connections. Raises SettingError, which does not repeat the address: it may hold a password."""
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        made = create_engine(parsed, hide_parameters=True, connect_args={"timeout": _WAIT})
        event.listen(made, "connect", _prepare_sqlite)
        _notice_another_file(made, Path(parsed.database or ""))
        return made
    # A database may have been made with no encoding (SQL_ASCII); then its texts would come as bytes.
    connect = {"connect_timeout": _WAIT, "tcp_user_timeout": 2_000 * _WAIT, "client_encoding": "utf8"}
    made = create_engine(parsed, hide_parameters=True, connect_args=connect, pool_pre_ping=True, pool_timeout=_WAIT)
    event.listen(made, "connect", _prepare_postgresql)
    return made


def _parsed(url: str) -> URL:
    forms = "it must be sqlite:////folder/labels.db or postgresql://user:password@host/database."
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingError(f"SLUICE_STORE_DATABASE_URL cannot be read: {forms}") from None
    if parsed.drivername not in _DRIVERS:
        raise SettingError(f"SLUICE_STORE_DATABASE_URL begins with {parsed.drivername[:20]!r}: {forms}")
    return parsed.set(drivername=_DRIVERS[parsed.drivername])


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Readers do not wait for the writer, and what was answered is on the disk."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _notice_another_file(engine: Engine, file: Path) -> None:
    """Opens the file again when it is another one: what is written to one that was removed is lost."""

    def note(_: object, record: ConnectionPoolEntry) -> None:
        record.info["inode"] = _inode(file)

    def compare(_: object, record: ConnectionPoolEntry, __: object) -> None:
        if record.info["inode"] != _inode(file):
            raise DisconnectionError

    event.listen(engine, "connect", note)
    event.listen(engine, "checkout", compare)


def _inode(file: Path) -> int:
    """0 if there is no such file."""
    try:
        return file.stat().st_ino
    except OSError:
        return 0


def _prepare_postgresql(connection: Any, _: object) -> None:
    """No statement waits for ever behind a lock."""
    connection.execute(f"SET statement_timeout = '{2 * _WAIT}s'")
    connection.commit()


def brief(error: SQLAlchemyError) -> str:
    """Its words in one line."""
    cause = getattr(error, "orig", None) or error
    return (str(cause).splitlines() or [type(cause).__name__])[0][:300]
