"""TLS contexts: which certificates are trusted, and our own; and what a failed handshake means.

Verification cannot be switched off.
"""

import ssl
import tempfile

from sluice_operator import handshake
from sluice_operator.credentials.entries import Credentials, CredentialsError

_REFUSED = ("certificate required", "handshake failure", "unknown ca", "bad certificate", "certificate unknown")


def context(credentials: Credentials) -> ssl.SSLContext:
    """A context that trusts the authority of `credentials`, or else those of the system. Raises CredentialsError."""
    try:
        verifying = ssl.create_default_context(cadata=credentials.authority or None)
    except ssl.SSLError as error:
        raise CredentialsError("ca.crt holds no certificates that can be read: write them in PEM") from error
    if credentials.certificate:
        _load_certificate(verifying, credentials)
    verifying.set_alpn_protocols(["http/1.1"])
    return verifying


def describe(error: ssl.SSLError) -> str:
    """Why the handshake failed, and what to check."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = ": is ca.crt that of its authority?" if handshake.has_unknown_authority(error) else ""
        return f"its certificate is not trusted, {handshake.distrust(error)}{hint}"
    reason = handshake.reason(error)
    if any(words in reason for words in _REFUSED):
        return "it refuses us without a certificate that it trusts: are tls.crt and tls.key those that it asks for?"
    return f"TLS fails, {reason}"


def _load_certificate(verifying: ssl.SSLContext, credentials: Credentials) -> None:
    """OpenSSL loads certificate and key only from a file. Only this process can read it, and it is deleted at once."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as pair:
        pair.write(f"{credentials.certificate}\n{credentials.key}\n")
        pair.flush()
        try:
            verifying.load_cert_chain(pair.name, password="")
        except ssl.SSLError as error:
            raise CredentialsError("tls.key is not the key of tls.crt, or one of them cannot be read") from error
