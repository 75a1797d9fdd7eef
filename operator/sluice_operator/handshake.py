"""What a failed TLS handshake says."""

import ssl

from sluice_operator.api.foreign_text import in_one_line

_UNTRUSTED = (18, 19, 20, 21)  # OpenSSL's codes for a chain without a trusted authority


def reason(error: ssl.SSLError) -> str:
    """In the words of OpenSSL."""
    return (error.reason or in_one_line(str(error)) or "no reason given").replace("_", " ").lower()


def distrust(error: ssl.SSLCertVerificationError) -> str:
    """Why the certificate was not accepted, in the words of OpenSSL."""
    return error.verify_message.rstrip(".")


def has_unknown_authority(error: ssl.SSLCertVerificationError) -> bool:
    """Whether it was the authority that is not trusted, and nothing about the certificate itself."""
    return error.verify_code in _UNTRUSTED
