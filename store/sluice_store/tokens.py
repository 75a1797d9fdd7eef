"""Who may do what: a token names a namespace and proves it.

`<namespace>.<64 hex>`, the second part an HMAC-SHA256 of the first with the key of the store. So the store keeps no
list of tokens, whoever holds the key (the operator) makes one for each namespace, and a pod can neither read the
models of another namespace nor add to its labels. Pure.
"""

from __future__ import annotations

import hmac
import re

EVERYWHERE = "*"  # the operator's: stands for all namespaces, and is the name of none
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def is_scope(text: str) -> bool:
    """Whether a token can be made for it."""
    return text == EVERYWHERE or _NAMESPACE.fullmatch(text) is not None


def make(key: bytes, namespace: str) -> str:
    """The token of a namespace."""
    return f"{namespace}.{_proof(key, namespace)}"


def namespace_of(key: bytes, token: str) -> str | None:
    """The namespace that a token was made for with this key; None for any other text."""
    namespace, _, proof = token.partition(".")
    if not is_scope(namespace) or not proof.isascii():
        return None
    return namespace if hmac.compare_digest(_proof(key, namespace), proof) else None


def _proof(key: bytes, namespace: str) -> str:
    return hmac.digest(key, b"sluice-store token of " + namespace.encode(), "sha256").hex()
