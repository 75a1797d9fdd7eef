"""What the page keeps of the answers of the API server: the fields that it shows.

Whoever may write an object chooses how large its other fields are, such as `spec.server.podTemplate`. They are passed
over and do not become Python objects, which would take up to 24 times as many bytes.
"""

from typing import Any

import msgspec

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest


class Shown(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The fields of one mapping that are shown."""

    def plain(self) -> Manifest:
        """They alone, as the API server has them."""
        plain: Manifest = msgspec.to_builtins(self)
        return plain


class _Metadata(Shown, frozen=True):
    name: str
    namespace: str
    creation_timestamp: str = ""


class _Version(Shown, frozen=True):
    uri: str = ""


class _Spec(Shown, frozen=True):
    model: _Version = _Version()


class Model(Shown, frozen=True):
    """A ModelDeployment. Its status is the operator's, so all of it is kept."""

    metadata: _Metadata
    spec: _Spec = _Spec()
    status: Any = None


class _Rest(Shown, frozen=True):
    begins: str = msgspec.field(name="continue", default="")


class ModelList(Shown, frozen=True):
    """A part of a list of ModelDeployments."""

    items: tuple[Model, ...]
    metadata: _Rest = _Rest()


class _Labels(Shown, frozen=True):
    owner: str = msgspec.field(name=names.LABEL_OWNER, default="")
    record: str = msgspec.field(name=names.LABEL_RECORD, default="")


class _RecordMetadata(Shown, frozen=True):
    uid: str = ""
    resource_version: str = ""
    labels: _Labels = _Labels()


class _Summary(Shown, frozen=True):
    model: str = ""
    outcome: str = ""
    message: str = ""
    reason: str = ""
    stable: str = ""
    started_at: str = ""
    ended_at: str = ""
    commands: str = ""


class _Counts(Shown, frozen=True):
    packed: str = msgspec.field(name=names.RECORD_KEY, default="")


class Record(Shown, frozen=True):
    """A ConfigMap."""

    metadata: _RecordMetadata = _RecordMetadata()
    data: _Summary = _Summary()
    binary_data: _Counts = _Counts()


class _User(Shown, frozen=True):
    username: str


class _Reviewed(Shown, frozen=True):
    user: _User = msgspec.field(name="userInfo")


class Review(Shown, frozen=True):
    """A SelfSubjectReview."""

    status: _Reviewed


class Refusal(Shown, frozen=True):
    """A `Status` of Kubernetes."""

    message: str = ""
