"""The termination message of the init container: the outcome as JSON, read by the operator from the pod's status."""

from __future__ import annotations

from typing import Any

import msgspec

from sluice_server.fetch.outcome import Fetched, Outcome, Unavailable
from sluice_server.model.manifest import Manifest
from sluice_server.model.refusal import Refused

_MESSAGE_CHARACTERS = 1500  # a sentence for people, who read no more
MESSAGE_LIMIT = 4096  # bytes that Kubernetes keeps of a termination message


def termination_message(outcome: Outcome) -> bytes:
    """The outcome as one JSON object, never longer than Kubernetes keeps."""
    match outcome:
        case Fetched(manifest):
            return _fetched(manifest, outcome.digest)
        case Refused(reason, message):
            return _told("refused", reason, message)
        case Unavailable(reason, message):
            return _told("unavailable", reason, message)


def _told(what: str, reason: str, message: str) -> bytes:
    """As much of the message as fits: a character can take six bytes."""
    for characters in (_MESSAGE_CHARACTERS, _MESSAGE_CHARACTERS // 5):
        told = msgspec.json.encode({what: {"reason": reason, "message": message[:characters]}})
        if len(told) <= MESSAGE_LIMIT:
            break
    return told


def _fetched(manifest: Manifest, digest: str) -> bytes:
    content: dict[str, Any] = {
        "digest": digest,
        "runtime": manifest.runtime,
        "flavor": manifest.flavor,
        "signature": {"inputs": manifest.signature.inputs, "outputs": manifest.signature.outputs},
    }
    if manifest.not_converted is not None:
        content["not_converted"] = manifest.not_converted
    message = msgspec.json.encode(content)
    if len(message) <= MESSAGE_LIMIT:
        return message
    return msgspec.json.encode(content | {"signature": None})  # a wide signature is still in sluice.json and /metadata
