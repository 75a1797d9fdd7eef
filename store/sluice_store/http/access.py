"""Who asks: the namespace of the token in `Authorization: Bearer`, or everybody where the store is open."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import HTTPException, Request

from sluice_store import tokens
from sluice_store.http.errors import bad

SHARED = "_shared"  # stands for the namespace where there are no tokens; no namespace has this name
_CHALLENGE = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Access:
    """Decides for each request. Without a key the store is open."""

    key: bytes | None

    def namespace(self, request: Request) -> str:
        """The namespace whose models and labels the request may read and write; raises HTTPException 401 or 403."""
        scope = self._scope(request)
        if scope == tokens.EVERYWHERE:
            raise bad("models and labels belong to a namespace: send its token, and not that of the operator", 403)
        return scope

    def may_read_runs(self, request: Request, namespace: str) -> None:
        """Of its own namespace, anybody; of all, the operator. Raises HTTPException 401 or 403."""
        if self._scope(request) not in {SHARED, tokens.EVERYWHERE, namespace}:
            raise bad(f"this token is of another namespace than {namespace}", 403)

    def may_write_runs(self, request: Request) -> None:
        """Only the operator: what a run has shown is not for those to change who were judged. Raises HTTPException."""
        if self._scope(request) not in {SHARED, tokens.EVERYWHERE}:
            raise bad("run records are written with the token of the operator", 403)

    def _scope(self, request: Request) -> str:
        if self.key is None:
            return SHARED
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        scope = tokens.namespace_of(self.key, token.strip()) if scheme.lower() == "bearer" else None
        if scope is None:
            raise HTTPException(
                401,
                "this needs the token of a namespace, made with the key of this store: send 'Authorization: Bearer "
                "TOKEN' with what `python -m sluice_store token NAMESPACE` prints",
                _CHALLENGE,
            )
        return scope
