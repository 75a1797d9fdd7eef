"""The content of Secrets that objects name."""

import base64

from sluice_operator.kubernetes.port import Kube


async def entries(kube: Kube, namespace: str, name: str) -> dict[str, bytes] | None:
    """The content of a Secret by key, or None if there is no such Secret."""
    secret = await kube.get("Secret", namespace, name)
    if secret is None:
        return None
    return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
