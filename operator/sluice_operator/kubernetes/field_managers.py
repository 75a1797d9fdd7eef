"""Who wrote an object: what differs from the manifest that was meant, and whose name `managedFields` has for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.port import FIELD_MANAGER

Path = tuple[str, ...]  # of a field; a list is one field


@dataclass(frozen=True, slots=True)
class Writer:
    """A field manager, and when it last wrote."""

    name: str
    at: datetime


def last_other(live: Manifest, wanted: Manifest) -> Writer | None:
    """Who else has written what differs from `wanted`, the latest one.

    If nobody has a name for these fields (they were removed), it is the latest other writer of any field. Controllers
    that write only the status are none. None if nobody but us has left a name.
    """
    found = editor(live, wanted)
    if found is not None:
        return found
    writers = [Writer(entry["manager"], _time(entry)) for entry in _others(live)]
    return max(writers, key=lambda writer: writer.at, default=None)


def editor(live: Manifest, wanted: Manifest) -> Writer | None:
    """As `last_other`, but only who has a name for what differs."""
    paths = list(differences(live, wanted))
    owners = (entry for entry in _others(live) if any(_owns(entry.get("fieldsV1") or {}, path) for path in paths))
    writers = (Writer(entry["manager"], _time(entry)) for entry in owners)
    return max(writers, key=lambda writer: writer.at, default=None)


def editor_of(live: Manifest, *path: str) -> str:
    """Who else has written the field at `path`; empty if nobody has."""
    for entry in live["metadata"].get("managedFields") or ():
        if is_other(entry) and _owns(entry.get("fieldsV1") or {}, path):
            return str(entry["manager"])
    return ""


def differences(live: Any, wanted: Any, path: Path = ()) -> Iterator[Path]:
    """The fields in which `live` is not as `wanted`."""
    if not isinstance(wanted, Mapping) or not isinstance(live, Mapping):
        if live != wanted:
            yield path
        return
    for name, value in wanted.items():
        yield from differences(live.get(name), value, (*path, name))


def is_other(entry: Mapping[str, Any]) -> bool:
    """Whether this entry of `managedFields` is of somebody else, and about more than what he sees."""
    return entry.get("manager") not in (None, "", FIELD_MANAGER) and entry.get("subresource") != "status"


def _others(live: Manifest) -> Iterator[Mapping[str, Any]]:
    return (entry for entry in live["metadata"].get("managedFields") or () if is_other(entry) and _is_dated(entry))


def _is_dated(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("time") or entry.get("subresource"))


def _time(entry: Mapping[str, Any]) -> datetime:
    """Writes by the subresource `scale` have no time; they count as the newest."""
    return datetime.fromisoformat(entry["time"]) if entry.get("time") else datetime.max.replace(tzinfo=UTC)


def _owns(fields: Mapping[str, Any], path: Path) -> bool:
    """Whether the tree of `fieldsV1` has this field, or one that it is a part of."""
    for name in path:
        if f"f:{name}" not in fields:
            return False
        fields = fields[f"f:{name}"]
        if not fields:
            return True
    return True
