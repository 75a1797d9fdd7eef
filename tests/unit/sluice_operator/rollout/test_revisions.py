"""What makes a new revision, and what does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from sluice_operator.api.observation import Defaults, Observation
from sluice_operator.api.run import Phase
from sluice_operator.api.status import Retiring
from sluice_operator.rollout import revisions
from sluice_operator.rollout.decide import decide
from tests.unit.sluice_operator.build import (
    DEFAULTS,
    ROLLOUT,
    SPEC,
    a_spec,
    model,
    resolved,
    revision,
    stable_on,
    with_status,
)


@pytest.mark.parametrize(
    "changes",
    [
        {"server__image": "registry.example/other:1"},
        {"server__env": [{"name": "THREADS", "value": "2"}]},
        {"server__resources": {"requests": {"cpu": "2"}}},
        {"model__trust": "Data"},
        {"model__registry": {"trackingURI": "http://other:5000"}},
    ],
)
def test_what_a_user_sets_for_the_server_makes_a_new_revision(changes: dict[str, Any]) -> None:
    """Image, environment, resources, trust and registry all decide what runs."""
    status = decide(stable_on(1, spec=a_spec(**changes)))
    assert (status.phase, status.canary) == (Phase.STARTING, revision(1, a_spec(**changes)))
    assert revision(1, a_spec(**changes)).revision != revision(1).revision


@pytest.mark.parametrize(
    "changes",
    [
        {"server__replicas": 7},
        {"rollout": {**ROLLOUT, "deadline": "1h"}},
        {"objectives": []},
        {"model__pollInterval": "1h"},
        {"model__onPromote": {}},
        {"model__uri": "models:/iris/1"},
        {"traffic": {"ingress": {"className": "other", "host": "other.example.com"}}},
        {"model__registry": {"credentialsSecret": "mlflow"}},
        {"model__registry": {"artifactSecret": "s3"}},
    ],
)
def test_what_decides_how_to_roll_out_makes_none(changes: dict[str, Any]) -> None:
    """Replicas, steps, objectives, route, credentials, and another name for the same version start no rollout."""
    assert revision(1, a_spec(**changes)).revision == revision(1).revision
    assert decide(stable_on(1, spec=a_spec(**changes))).phase is Phase.STABLE


def test_an_upgrade_of_the_operator_starts_no_rollout() -> None:
    """Its defaults are frozen into a revision, but do not name it."""
    upgraded = Defaults("registry.example/sluice-server:2")
    seen = stable_on(1, defaults=upgraded)
    status = decide(seen)
    assert (status.phase, status.stable) == (Phase.STABLE, seen.status.stable)
    made = revisions.make(a_spec(), model(1), upgraded)
    assert (made.revision, made.image) == (revision(1).revision, upgraded.image)


@pytest.mark.parametrize(
    ("trust", "asked", "image"),
    [("Code", {}, "code"), ("Data", {}, "data"), ("Code", {"image": "own"}, "own")],
)
def test_code_gets_the_image_that_can_run_it(trust: str, asked: dict[str, str], image: str) -> None:
    """Where the spec names none, and the operator has one; an image of the user's own comes first."""
    spec = a_spec(model__trust=trust, server={**SPEC["server"], **asked})
    assert revisions.make(spec, model(1), Defaults("data", "code")).image == image
    assert revisions.make(spec, model(1), Defaults("data")).image == asked.get("image", "data")


def test_a_revision_is_frozen_with_what_it_was_made_from() -> None:
    """The operator's defaults fill in what the user left out."""
    made = revision(1)
    assert (made.image, made.trust, made.resources) == (
        DEFAULTS.image,
        "TrustedTypes",
        SPEC["server"]["resources"],
    )


def test_another_version_is_another_revision() -> None:
    """And so is a version of that number which was deleted and registered again from elsewhere."""
    again = replace(model(1), source="models:/m-other", run_id="other")
    made = {revisions.make(a_spec(), version, DEFAULTS).revision for version in (model(1), model(2), again)}
    assert len(made) == 3


def test_names_of_revisions_do_not_change() -> None:
    """The name of an existing revision is part of the contract: another one would roll out every model once."""
    assert revision(1).revision == "qp2gpekvce"
    assert len(revision(1).revision) == 10


def test_what_was_learned_from_the_pods_does_not_name_a_revision() -> None:
    """Digest and runtime are found out later."""
    seen = replace(model(1), digest="sha256:00", runtime="skops")
    assert revisions.make(a_spec(), seen, DEFAULTS).revision == revision(1).revision


def test_the_same_observation_gives_the_same_decision() -> None:
    """`decide` is pure: what it is given decides alone."""
    seen = stable_on(1, resolution=resolved(2))
    assert decide(seen) == decide(seen)


OLD_ADDRESS = "http://somebody:s3cret@mlflow-old:5000"  # of the operator, as 0.1.0 froze it into each revision


def with_old_addresses(seen: Observation) -> Observation:
    """A status as 0.1.0 wrote it: each revision has the operator's address of that time."""
    status = seen.status
    stable, alias = status.stable, status.alias
    assert stable is not None
    assert alias is not None
    return with_status(
        seen, stable=replace(stable, tracking_uri=OLD_ADDRESS), alias=replace(alias, tracking_uri=OLD_ADDRESS)
    )


def test_a_revision_without_its_own_registry_follows_the_operator_s() -> None:
    """The address of a status of 0.1.0 is dropped, and with it a password that it held. No run starts."""
    status = decide(with_old_addresses(stable_on(1)))
    assert (status.phase, status.stable and status.stable.tracking_uri) == (Phase.STABLE, "")
    assert status.alias is not None
    assert status.alias.tracking_uri == ""
    assert "s3cret" not in repr(status)


def test_also_if_the_operator_s_image_was_another_one() -> None:
    """The name of a revision tells what the user set, whatever the operator filled in."""
    old = replace(revision(1), image="registry.example/sluice-server:0", tracking_uri=OLD_ADDRESS)
    assert revisions.follows_operator(old)
    of_a_user = a_spec(server__image="registry.example/mine:1")
    assert revisions.follows_operator(replace(revision(1, of_a_user), tracking_uri=OLD_ADDRESS))


def test_a_registry_that_the_user_has_named_is_kept() -> None:
    """It is part of what that revision is, also when the spec names another one now."""
    named = a_spec(model__registry={"trackingURI": "http://other:5000"})
    assert not revisions.follows_operator(revision(1, named))
    seen = with_status(stable_on(1), stable=revision(1, named))
    stable = decide(seen).stable
    assert stable is not None
    assert stable.tracking_uri == "http://other:5000"


def test_credentials_follow_the_spec() -> None:
    """A Secret of another name is used by the next Deployment that is made, for every revision of that registry."""
    status = decide(stable_on(1, spec=a_spec(model__registry={"credentialsSecret": "renewed", "artifactSecret": "s3"})))
    assert (status.phase, status.stable and status.stable.credentials_secret) == (Phase.STABLE, "renewed")
    assert status.stable is not None
    assert status.stable.artifact_secret == "s3"


def test_what_undo_brings_back_has_the_connections_of_today() -> None:
    """A Secret that was renamed since is gone; so is one of what retires and may be adopted again."""
    renewed = a_spec(model__registry={"credentialsSecret": "renewed"})
    before = stable_on(2, spec=renewed)
    old = revision(1)
    kept = with_status(before, former=(old,), retiring=(Retiring(old, 2, before.now + timedelta(minutes=5)),))
    status = decide(kept)
    assert [made.credentials_secret for made in status.former] == ["renewed"]
    assert [entry.revision.credentials_secret for entry in status.retiring] == ["renewed"]
