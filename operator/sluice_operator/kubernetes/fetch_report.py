"""What a container `fetch` or `prepare` wrote into its termination message. Pure.

The image is the user's choice, and Kubernetes cuts a message after 4,096 bytes: any text may be there, and none raises.
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import Annotated

import msgspec

from sluice_operator.api.foreign_text import in_one_line
from sluice_operator.api.observation import Refusal
from sluice_operator.api.owner import Manifest

REPORTING = ("fetch", "prepare")
_SHOWN = 300  # characters of a text that is no report
_MESSAGE = 2_000  # characters of a message in a report
REASONS = frozenset(  # of both, for machines: conditions, and metrics with a series for each
    {
        "ArtifactsLoginRefused",
        "BadMLmodel",
        "BadModelFile",
        "BadModelURI",
        "CodeNotServedHere",
        "CodeNotTrusted",
        "FetchFailed",
        "LibraryMismatch",
        "ModelNotFound",
        "ModelTooLarge",
        "NoMLmodel",
        "NoSignature",
        "NotInStore",
        "PackagesMissing",
        "PickleNotTrusted",
        "RegistryLoginRefused",
        "StoreContentDamaged",
        "StoreLoginRefused",
        "StoreRefused",
        "StoreUnreachable",
        "TooManyFiles",
        "UnsafePath",
        "UnsupportedFlavor",
        "UnsupportedOperators",
        "UnsupportedPredictFunction",
        "UnsupportedSignature",
        "UnsupportedStore",
        "UntrustedTypes",
    }
)
_OTHER = "ModelRefused"  # by an image with reasons of its own
_UNAVAILABLE = REASONS | {"ArtifactsUnreachable", "RegistryUnreachable"}
_SILENT = "RegistryUnreachable"  # likewise
_Word = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[\w.:+/-]*$")]


class _Reason(msgspec.Struct):
    reason: str
    message: str


class _Written(msgspec.Struct):
    digest: _Word = ""
    runtime: _Word | None = ""
    refused: _Reason | None = None
    unavailable: _Reason | None = None


@dataclass(frozen=True, slots=True)
class FetchReport:
    """How a container ended. At most one of `refusal`, `unavailable` and `text` is there."""

    digest: str = ""
    runtime: str = ""
    refusal: Refusal | None = None  # of the model
    unavailable: Refusal | None = None  # the registry, its store of files, or the store of models did not answer
    text: str = ""  # a message in another form, such as the last words of another program

    @property
    def sentence(self) -> str:
        """For people; empty if it succeeded or said nothing."""
        said = self.refusal or self.unavailable
        return said.message if said else self.text


def of_pod(pod: Manifest) -> FetchReport:
    """The newest report in this pod; an empty one if there is none."""
    status = pod["status"]
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        if container["name"] not in REPORTING:
            continue
        for state in (container.get("state", {}), container.get("lastState", {})):
            ended = state.get("terminated") or {}
            if (report := parse(ended.get("message", ""), failed=ended.get("exitCode", 0) != 0)) != FetchReport():
                return report
    return FetchReport()


def parse(message: str, *, failed: bool) -> FetchReport:
    """The report in a termination message. `failed`: text in another form says why, and is kept."""
    try:
        written = msgspec.json.decode(message.encode(errors="replace"), type=_Written)
    except (msgspec.MsgspecError, RecursionError):
        return FetchReport(text=in_one_line(message, _SHOWN) if failed else "")
    return FetchReport(
        written.digest,
        written.runtime or "",
        _said(written.refused, REASONS, _OTHER),
        None if written.refused else _said(written.unavailable, _UNAVAILABLE, _SILENT),
    )


def _said(written: _Reason | None, known: Container[str], other: str) -> Refusal | None:
    if written is None:
        return None
    reason = written.reason if written.reason in known else other
    return Refusal(reason, in_one_line(written.message, _MESSAGE))
