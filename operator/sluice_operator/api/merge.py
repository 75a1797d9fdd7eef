"""Merging parts of Kubernetes objects: mappings by field, and lists of named things by name. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

# Lists whose entries are told apart by a field. Any other list is replaced as a whole.
_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "env": "name",
    "imagePullSecrets": "name",
}


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the fields of `more`, in which None removes a field. Neither is changed."""
    result = dict(base)
    for name, value in more.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value, _KEYS.get(name))
    return result


def _merged(base: Any, more: Any, key: str | None) -> Any:
    if isinstance(more, Mapping):
        return merged(base if isinstance(base, Mapping) else {}, more)
    if key is not None and isinstance(more, list):
        return _by_key(base if isinstance(base, list) else [], more, key)
    return more


def _by_key(base: Sequence[Any], more: Sequence[Any], key: str) -> list[Any]:
    """The entries of both; those with the same key are merged, in the place of the first."""
    entries = {entry[key]: entry for entry in base}
    for entry in more:
        known = entries.get(entry[key])
        entries[entry[key]] = entry if known is None else merged(known, entry)
    return list(entries.values())
