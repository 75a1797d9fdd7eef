"""What a serving process and the one that starts it say to each other, where models are reloaded beside each other.

All processes take connections from the same listening sockets, which the starting one has opened. Over a channel of its
own each says when the files of its model have come, and once how the model does. When the other end of the channel is
closed, another process answers instead.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

_PLACE = "SLUICE_HANDOVER"


class Fetched(msgspec.Struct, frozen=True, tag=True):
    """The files of the model are there: what takes long from now on is the model itself."""


class Report(msgspec.Struct, frozen=True, tag=True):
    """How the model `uri` does in a new process. `final`: another try would end in the same way."""

    uri: str
    ready: bool
    reason: str
    final: bool = True


class Failure(msgspec.Struct, frozen=True):
    """A version that is named and not served, and why."""

    uri: str
    reason: str


class State(msgspec.Struct, frozen=True):
    """What /health shows of reloading."""

    failed: Failure | None = None


class Place(msgspec.Struct, frozen=True):
    """What a serving process inherits: descriptors of both listening sockets and of the channel, and the State's file.

    `waits`: another process answers, so this one takes no connection before its model is ready.
    """

    cluster: int
    gateway: int
    channel: int
    state: str
    waits: bool

    @property
    def descriptors(self) -> tuple[int, int, int]:
        return self.cluster, self.gateway, self.channel

    def tell(self, said: Fetched | Report) -> None:
        """Says how the model does; nothing if nobody listens any more."""
        with contextlib.suppress(OSError):
            os.write(self.channel, msgspec.json.encode(said) + b"\n")

    def shown(self) -> State:
        """The state as it is now."""
        try:
            return msgspec.json.decode(Path(self.state).read_bytes(), type=State)
        except (OSError, msgspec.DecodeError):
            return State()


def variables(place: Place) -> dict[str, str]:
    """How a process is told its place."""
    return {_PLACE: msgspec.json.encode(place).decode()}


def place(env: Mapping[str, str]) -> Place | None:
    """The place of this process; None where nothing is reloaded."""
    return msgspec.json.decode(env[_PLACE], type=Place) if env.get(_PLACE) else None


def read(line: bytes) -> Fetched | Report | None:
    """What a process has said; None if it has ended without a word."""
    return msgspec.json.decode(line, type=Fetched | Report) if line else None


def write_state(state: State, path: Path) -> None:
    """For all processes that serve; they see the state before or after."""
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(state))
    new.replace(path)
