"""Making revisions, and telling them apart.

A revision's name is a hash over a versioned canonical form of the resolved model and of what the *user* set. Defaults
of the operator are frozen into the revision but do not name it: upgrading the operator starts no rollout.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sluice_operator.api.observation import Defaults
from sluice_operator.api.quantities import Duration, encode
from sluice_operator.api.spec import Objective, Spec
from sluice_operator.api.status import Model, Revision, Run

_FORM = 1  # of the canonical form below; a new form must give old objects their old names


def _short_hash(value: Any, enc_hook: Callable[[Any], Any] = encode) -> str:
    canonical = msgspec.json.encode(value, enc_hook=enc_hook, order="sorted")
    return base64.b32encode(hashlib.sha256(canonical).digest()).decode().lower()[:10]


def make(spec: Spec, model: Model, defaults: Defaults) -> Revision:
    """The revision that `spec` asks for when its URI resolves to `model`."""
    server = spec.server
    identity = {
        "form": _FORM,
        "model": {"uri": model.uri, "runId": model.run_id, "source": model.source},
        "registry": spec.model.registry.tracking_uri,
        "trust": spec.model.trust,
        "server": {"image": server.image, "resources": server.resources, "env": server.env},
    }
    return Revision(
        revision=_short_hash(identity),
        model=model,
        image=server.image or defaults.image,
        trust=spec.model.trust,
        tracking_uri=spec.model.registry.tracking_uri or defaults.tracking_uri,
        resources=server.resources,
        env=server.env,
    )


def terms_hash(spec: Spec) -> str:
    """By what a run of this spec is judged and stepped, and when it ends."""
    return _short_hash([spec.rollout, _in_order(spec.objectives), spec.confidence], _value)


def objectives_hash(objectives: Sequence[Objective]) -> str:
    """What a revision is judged by: their values, whatever their order and however they are written."""
    return _short_hash(_in_order(objectives), _value)


def terms_changed(run: Run, spec: Spec, generation: int) -> bool:
    """Whether somebody edited what `run` is judged and stepped by. `generation`: of `spec`.

    A spec that reads otherwise in the same generation was not edited: an upgrade has brought other defaults.
    """
    if generation == run.generation:
        return False
    before = run.rollout, _in_order(run.objectives), run.confidence
    return before != (spec.rollout, _in_order(spec.objectives), spec.confidence)


def _in_order(objectives: Sequence[Objective]) -> list[Objective]:
    return sorted(objectives, key=lambda objective: objective.name)


def _value(quantity: Any) -> float:
    return quantity.total_seconds() if isinstance(quantity, Duration) else float(quantity)
