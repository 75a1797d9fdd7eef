"""Making revisions, and telling them apart.

A revision's name is a hash over a versioned canonical form of the resolved model and of what the *user* set. Defaults
of the operator are frozen into the revision but do not name it: upgrading the operator starts no rollout.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from sluice_operator.api import pod_template
from sluice_operator.api.observation import Defaults
from sluice_operator.api.quantities import Duration, encode
from sluice_operator.api.revision import Model, Revision
from sluice_operator.api.run import Run
from sluice_operator.api.spec import Objective, Spec

_FORM = 1  # of the canonical form below; a new form must give old objects their old names


def _short_hash(value: Any, enc_hook: Callable[[Any], Any] = encode) -> str:
    canonical = msgspec.json.encode(value, enc_hook=enc_hook, order="sorted")
    return base64.b32encode(hashlib.sha256(canonical).digest()).decode().lower()[:10]


def make(spec: Spec, model: Model, defaults: Defaults) -> Revision:
    """The revision that `spec` asks for when its URI resolves to `model`."""
    server, registry = spec.server, spec.model.registry
    made = Revision(
        revision="",
        model=model,
        image=server.image,
        trust=spec.model.trust,
        from_store=defaults.from_store,
        tracking_uri=registry.tracking_uri,
        credentials_secret=registry.credentials_secret,
        artifact_secret=registry.artifact_secret,
        resources=server.resources,
        env=server.env,
        pod_template=pod_template.of(server),
    )
    return replace(made, revision=_name(made), image=made.image or defaults.image_for(made.trust))


def follows_operator(revision: Revision) -> bool:
    """Whether `revision` was made without a registry of its own.

    Before 0.2.0 the operator's address was frozen into such a revision. The name tells: neither that address nor the
    operator's image is in it.
    """
    if not revision.tracking_uri:
        return True
    without = replace(revision, tracking_uri="")
    return revision.revision in (_name(without), _name(replace(without, image="")))


def _name(made: Revision) -> str:
    """The name for what the user set. Secrets are not in it: credentials can be renewed without a rollout."""
    model = made.model
    template = {"podTemplate": made.pod_template} if made.pod_template else {}  # those without one keep their names
    return _short_hash(
        {
            "form": _FORM,
            "model": {"uri": model.uri, "runId": model.run_id, "source": model.source},
            "registry": made.tracking_uri,
            "trust": made.trust,
            "server": {"image": made.image, "resources": made.resources, "env": made.env, **template},
        }
    )


def terms_hash(spec: Spec) -> str:
    """By what a run of this spec is judged and stepped, and when it ends."""
    return _short_hash([spec.rollout, _in_order(spec.objectives), spec.confidence], _value)


def objectives_hash(objectives: Sequence[Objective]) -> str:
    """What a revision is judged by: their values, whatever their order and however they are written."""
    return _short_hash(_in_order(objectives), _value)


def terms_changed(run: Run, spec: Spec, generation: int) -> bool:
    """Whether somebody edited what `run` is judged and stepped by. `generation`: of `spec`.

    A spec that reads otherwise in the same generation was not edited: an upgrade has brought other defaults. Another
    retry token is about what was rejected, and not about this run.
    """
    if generation == run.generation:
        return False
    before = replace(run.rollout, retry_token=spec.rollout.retry_token), _in_order(run.objectives), run.confidence
    return before != (spec.rollout, _in_order(spec.objectives), spec.confidence)


def _in_order(objectives: Sequence[Objective]) -> list[Objective]:
    return sorted(objectives, key=lambda objective: objective.name)


def _value(quantity: Any) -> float:
    return quantity.total_seconds() if isinstance(quantity, Duration) else float(quantity)
