"""What an Ingress still has of a route that asked for more. Pure.

Server-side apply leaves alone what an object got at its creation, because that was another kind of write. So a
certificate or an annotation that is taken out of the spec has to be removed by name.
"""

from sluice_operator.api import names
from sluice_operator.api.owner import Manifest
from sluice_operator.kubernetes.field_managers import editor_of


def of(live: Manifest, wanted: Manifest) -> Manifest:
    """The fields to remove, each with None; empty if there are none. What others have written is not among them."""
    if live["kind"] != "Ingress":
        return {}
    fields: Manifest = {}
    ours = live["metadata"].get("annotations", {}).get(names.ANNOTATION_ANNOTATIONS, "")
    asked = wanted["metadata"].get("annotations", {})
    written = [*ours.split(","), names.ANNOTATION_ANNOTATIONS] if ours else []
    if gone := [name for name in written if name not in asked]:
        fields["metadata"] = {"annotations": dict.fromkeys(gone)}
    if live["spec"].get("tls") and "tls" not in wanted["spec"] and not editor_of(live, "spec", "tls"):
        fields["spec"] = {"tls": None}
    return fields
