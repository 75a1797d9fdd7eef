"""TLS contexts: which certificates are trusted, and our own. Verification cannot be switched off."""

import ssl
import tempfile

from sluice_operator.credentials.entries import Credentials, CredentialsError


def context(credentials: Credentials) -> ssl.SSLContext:
    """A context that trusts the authority of `credentials`, or else those of the system. Raises CredentialsError."""
    try:
        verifying = ssl.create_default_context(cadata=credentials.authority or None)
    except ssl.SSLError as error:
        raise CredentialsError("ca.crt holds no certificates that can be read: write them in PEM") from error
    if credentials.certificate:
        _load_certificate(verifying, credentials)
    return verifying


def _load_certificate(verifying: ssl.SSLContext, credentials: Credentials) -> None:
    """OpenSSL loads certificate and key only from a file. Only this process can read it, and it is deleted at once."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as pair:
        pair.write(f"{credentials.certificate}\n{credentials.key}\n")
        pair.flush()
        try:
            verifying.load_cert_chain(pair.name, password="")
        except ssl.SSLError as error:
            raise CredentialsError("tls.key is not the key of tls.crt, or one of them cannot be read") from error
