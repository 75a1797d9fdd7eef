"""TLS to Prometheus: connections that are verified by one context, and what a failed handshake means."""

import ssl
from typing import Any

from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest
from urllib3.util import Retry

_UNTRUSTED = (18, 19, 20, 21)  # OpenSSL's codes for a chain without a trusted authority
_REFUSED = ("certificate required", "handshake failure", "unknown ca", "bad certificate", "certificate unknown")


class Verified(HTTPAdapter):
    """Connections that are verified by `context` only, and not by what the environment or the client library sets."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(max_retries=Retry(total=0))

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **options)

    def build_connection_pool_key_attributes(self, request: PreparedRequest, verify: Any, cert: Any = None) -> Any:
        return super().build_connection_pool_key_attributes(request, True)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Add nothing to what the context trusts."""


def describe(error: ssl.SSLError) -> str:
    """Why the handshake failed, and what to check."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = ": is ca.crt that of its authority?" if error.verify_code in _UNTRUSTED else ""
        return f"its certificate is not trusted, {error.verify_message.rstrip('.')}{hint}"
    reason = (error.reason or "no reason given").replace("_", " ").lower()
    if any(words in reason for words in _REFUSED):
        return "it refuses us without a certificate that it trusts: are tls.crt and tls.key those that it asks for?"
    return f"TLS fails, {reason}"
