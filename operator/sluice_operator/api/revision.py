"""A model version with the settings that it is served with: what pods are made of."""

from datetime import datetime
from typing import Any

import msgspec

from sluice_operator.api.spec import Trust
from sluice_operator.api.status_part import StatusPart


class Model(StatusPart, frozen=True):
    """The model version that an MLflow URI names. `uri` is the pinned form, which can never name another version."""

    uri: str
    name: str
    version: str
    run_id: str = ""
    source: str = ""
    digest: str = ""
    runtime: str = ""


class Lost(StatusPart, frozen=True):
    """The store has lost the model of a revision that has no pods with it: a Job prepares it again."""

    since: datetime
    prepared_at: datetime | None = None  # since then the store has it again
    digest: str = ""  # of what was prepared, if that is not what its pods ask for: pinned when the last of them is gone


class Revision(StatusPart, frozen=True):
    """One model version with its server settings, as they were when the revision was made."""

    revision: str
    model: Model
    image: str
    trust: Trust
    from_store: bool = False  # a Job puts the prepared model into the store, and its pods fetch it from there
    tracking_uri: str = msgspec.field(name="trackingURI", default="")  # empty: the operator's, wherever that is now
    credentials_secret: str = ""
    artifact_secret: str = ""
    resources: dict[str, Any] = msgspec.field(default_factory=dict)
    env: tuple[dict[str, Any], ...] = ()
    pod_template: dict[str, Any] = msgspec.field(default_factory=dict)  # added to what Sluice makes: api.pod_template
    ready_replicas: int = 0
    edited_by: str = ""  # who else has written the containers of its Deployment
    lost: Lost | None = None

    @property
    def is_prepared(self) -> bool:
        """Whether its pods can start: a model from the store is known by its digest."""
        return not self.from_store or bool(self.model.digest)


class RevisionRef(StatusPart, frozen=True):
    """A revision that a run compares, by name and by the pinned URI of its model."""

    revision: str
    model: str
