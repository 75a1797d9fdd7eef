"""What the files of a folder, or the keys of a Secret, say of who asks Prometheus. Pure.

Their values are in no sentence and in no `repr`: both end up in logs, events and status.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_KEYS = ("token", "username", "password", "ca.crt", "tls.crt", "tls.key", "headers")
_KNOWN = "token; username and password; ca.crt; tls.crt and tls.key; headers"
_PAIRS = (("username", "password"), ("tls.crt", "tls.key"))
_PEM = {"ca.crt": "CERTIFICATE", "tls.crt": "CERTIFICATE", "tls.key": "PRIVATE KEY"}
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)[ \t]*")
_OF_THE_CLIENT = ("host", "connection", "content-length", "transfer-encoding", "accept-encoding")
_MOST = 100_000  # bytes of one of them

Header = tuple[str, str]


class CredentialsError(Exception):
    """They cannot be used. The text says what to write."""


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Empty texts for what is not given; certificates and key as PEM."""

    token: str = ""
    username: str = ""
    password: str = ""
    authority: str = ""  # that the server's certificate must come from, instead of the system's
    certificate: str = ""
    key: str = ""
    headers: tuple[Header, ...] = ()


def parse(entries: Mapping[str, bytes]) -> Credentials:
    """Credentials from file or key names and what they hold. Raises CredentialsError."""
    if unknown := sorted(set(entries) - set(_KEYS)):
        raise CredentialsError(f"{_named(unknown)} is none of the names that mean something: {_KNOWN}")
    texts = {name: _text(name, value) for name, value in entries.items()}
    if "token" in texts and ("username" in texts or "password" in texts):
        raise CredentialsError("there are both token and username: write one of them, a request can say only one")
    for first, second in _PAIRS:
        if (first in texts) != (second in texts):
            there, missing = (first, second) if first in texts else (second, first)
            raise CredentialsError(f"there is {there} without {missing}: write both")
    headers = _headers(texts.get("headers", ""))
    if "authorization" in {name.lower() for name, _ in headers} and ("token" in texts or "username" in texts):
        raise CredentialsError("headers has Authorization beside token or username: write one of them")
    return Credentials(
        token=texts.get("token", ""),
        username=texts.get("username", ""),
        password=texts.get("password", ""),
        authority=texts.get("ca.crt", ""),
        certificate=texts.get("tls.crt", ""),
        key=texts.get("tls.key", ""),
        headers=headers,
    )


def _text(name: str, value: bytes) -> str:
    """The text of one entry, without the line end that editors add."""
    if len(value) > _MOST:
        raise CredentialsError(f"{name} is longer than {_MOST // 1000} kB: write nothing else into it")
    try:
        text = value.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise CredentialsError(f"{name} is no text: write it in UTF-8") from None
    if name == "headers":
        return text
    if name in _PEM:
        return _pem(name, text)
    if not text.isprintable() or not text:
        raise CredentialsError(f"{name} is empty or has more than one line: write it alone")
    if name == "token" and not re.fullmatch(r"[\x21-\x7e]+", text):
        raise CredentialsError('token has a space or an umlaut in it: write the token alone, without "Bearer"')
    if name == "username" and ":" in text:
        raise CredentialsError('username has a ":" in it, which no user name may have')
    return text


def _pem(name: str, text: str) -> str:
    if "ENCRYPTED" in text:
        raise CredentialsError(f"{name} is encrypted: write a key without a passphrase")
    if not re.search(f"-----BEGIN [A-Z ]*{_PEM[name]}-----", text):
        raise CredentialsError(f"{name} holds no {_PEM[name].lower()} in PEM: it begins with -----BEGIN")
    return text


def _headers(text: str) -> tuple[Header, ...]:
    found: dict[str, Header] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        header = _HEADER.fullmatch(line)
        if header is None:
            raise CredentialsError(
                f"line {number} of headers is none: write NAME: VALUE, such as X-Scope-OrgID: team-a"
            )
        name, value = header[1], header[2]
        if name.lower() in _OF_THE_CLIENT or name.lower() in found:
            raise CredentialsError(f"line {number} of headers sets one that is set already: leave it out")
        found[name.lower()] = name, value
    return tuple(found.values())


def _named(names: list[str]) -> str:
    first = names[0] if len(names[0]) <= 50 else f"{names[0][:50]}..."
    return f"{first!r}" if len(names) == 1 else f"{first!r} (and {len(names) - 1} more)"
