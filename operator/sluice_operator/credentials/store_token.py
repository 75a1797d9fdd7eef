"""The token that the pods of a namespace show to the store: it names the namespace, and proves it.

The store defines the form, and keeps no list: whoever has its key can make one. A contract test compares the two.
"""

import hmac


def make(key: str, namespace: str) -> str:
    """The token of `namespace`; empty without a key, for a store that asks for none."""
    if not key:
        return ""
    proof = hmac.digest(key.encode(), b"sluice-store token of " + namespace.encode(), "sha256")
    return f"{namespace}.{proof.hex()}"
