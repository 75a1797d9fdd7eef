"""ModelDeployments as they came from the API server, without what would fill the memory of the process.

The API server takes objects of 1.5 MB, and some fields of `spec.server` can have any form. As Python objects they have
up to 24 times as many bytes, and a list has many of them. So a large one is read in parts. Where `spec.server` is too
large or too deep, such fields are left out, and a note in `podTemplate` says so: no pods are made of it.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from sluice_operator.api import foreign_json, names, pod_template
from sluice_operator.api.owner import Manifest

_LARGE = 128 * 1024  # bytes of JSON: of an object that is read in parts
_MOST = 64 * 1024  # of spec.server
_SMALL = 1024  # of a field of spec.server that is kept where the whole is too large
_DEEPEST = 50  # mappings and lists in one another, in spec.server; a pod has about 12
_Parts = dict[str, msgspec.Raw]


class _Annotations(msgspec.Struct, frozen=True, omit_defaults=True):
    command: str = msgspec.field(name=names.ANNOTATION_COMMAND, default="")


class _Metadata(msgspec.Struct, rename="camel", omit_defaults=True):
    """What the operator reads of a ModelDeployment's metadata."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    creation_timestamp: str
    generation: int = 0
    deletion_timestamp: str = ""
    annotations: _Annotations = _Annotations()
    managed_fields: msgspec.Raw = msgspec.Raw(b"[]")


class _Change(msgspec.Struct):
    """A line of a watch."""

    type: str
    object: msgspec.Raw


def model_deployment(text: bytes | msgspec.Raw) -> Manifest:
    """The object. Raises ValueError if it is none."""
    body: Manifest = _in_parts(text) if len(text) > _LARGE else foreign_json.decoded(text)
    metadata, server = body.get("metadata", {}), body.get("spec", {}).get("server", {})
    if _is_deep(metadata):  # it repeats what is in the spec
        metadata.pop("managedFields", None)
    if _is_deep(server):
        shallow = {name: part for name, part in server.items() if not _is_deep(part)}
        body["spec"]["server"] = _with_note(
            shallow, f"are nested more than {_DEEPEST} deep: write them as in a Deployment"
        )
    return body


def answer(text: bytes) -> Manifest:
    """What the API server answers: an object, or a part of a list. Raises ValueError."""
    parts: _Parts = foreign_json.decoded(text, _Parts)
    items = parts.pop("items", None)
    if items is None:
        return model_deployment(text)
    listed = [model_deployment(item) for item in foreign_json.decoded(items, list[msgspec.Raw])]
    return {**_decoded(parts), "items": listed}


def change(line: bytes) -> bytes:
    """A line of a watch. Raises ValueError."""
    told: _Change = foreign_json.decoded(line, _Change)
    return msgspec.json.encode({"type": told.type, "object": model_deployment(told.object)})


def _in_parts(text: bytes | msgspec.Raw) -> Manifest:
    parts: _Parts = foreign_json.decoded(text, _Parts)
    if "metadata" not in parts or "spec" not in parts:
        return _decoded(parts)
    metadata, spec = parts.pop("metadata"), foreign_json.decoded(parts.pop("spec"), _Parts)
    server = spec.pop("server", None)
    read = _decoded(spec) if server is None else {**_decoded(spec), "server": _server(server)}
    return {**_decoded(parts), "metadata": _metadata(metadata), "spec": read}


def _metadata(text: msgspec.Raw) -> Manifest:
    found: _Metadata = foreign_json.decoded(text, _Metadata)
    if len(found.managed_fields) > _MOST:
        found.managed_fields = msgspec.Raw(b"[]")
    metadata: Manifest = foreign_json.decoded(msgspec.json.encode(found))
    return metadata


def _server(text: msgspec.Raw) -> Manifest:
    if len(text) <= _MOST:
        server: Manifest = foreign_json.decoded(text)
        return server
    parts: _Parts = foreign_json.decoded(text, _Parts)
    kept = _decoded({name: part for name, part in parts.items() if len(part) <= _SMALL})
    return _with_note(kept, f"have {len(text) // 1024:,} KiB, and {_MOST // 1024} is the most: make them smaller")


def _with_note(server: Manifest, why: str) -> Manifest:
    return {**server, "podTemplate": {pod_template.LEFT_OUT: why}}


def _decoded(parts: _Parts) -> dict[str, Any]:
    return {name: foreign_json.decoded(part) for name, part in parts.items()}


def _is_deep(part: Any) -> bool:
    level = [part]
    for _ in range(_DEEPEST):
        level = [inner for each in level for inner in _inner(each)]
        if not level:
            return False
    return True


def _inner(part: Any) -> Iterable[Any]:
    """The mappings and lists in a part."""
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return (inner for inner in parts if isinstance(inner, dict | list))
