"""Parses credentials from the files of a folder, or from the keys of a Secret. Pure.

Their values are in no error message and in no `repr`, because those appear in logs, events and status.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KEYS = ("token", "username", "password", "ca.crt", "tls.crt", "tls.key", "headers")
_LISTED = ("token", "username and password", "ca.crt", "tls.crt and tls.key", "headers")
_PAIRS = (("username", "password"), ("tls.crt", "tls.key"))
_PEM = {"ca.crt": "CERTIFICATE", "tls.crt": "CERTIFICATE", "tls.key": "PRIVATE KEY"}
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)[ \t]*")
_SET_BY_CLIENT = ("host", "connection", "content-length", "transfer-encoding", "accept-encoding")
_MAX_BYTES = 100_000  # of one entry

Header = tuple[str, str]
Entries = Mapping[str, bytes]  # content by the name of a file or key


class CredentialsError(Exception):
    """Credentials that cannot be used. The message says what to write instead."""


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a request carries. Text that is not given is empty; certificates and the key are PEM."""

    token: str = ""
    username: str = ""
    password: str = ""
    authority: str = ""  # the only one that the server's certificate may come from; empty: those of the system
    certificate: str = ""
    key: str = ""
    headers: tuple[Header, ...] = ()


def parse(entries: Entries, known: Sequence[str] = KEYS) -> Credentials:
    """Credentials from `entries`. `known`: the names that may be used. Raises CredentialsError."""
    if unknown := sorted(set(entries) - set(known)):
        listed = "; ".join(words for words in _LISTED if words.split()[0] in known)
        raise CredentialsError(f"{_quoted(unknown)} is none of the names that mean something: {listed}")
    texts = {name: _text(name, value) for name, value in entries.items()}
    if "token" in texts and ("username" in texts or "password" in texts):
        raise CredentialsError("there are both token and username: write one of them, a request can say only one")
    for first, second in _PAIRS:
        if (first in texts) != (second in texts):
            present, missing = (first, second) if first in texts else (second, first)
            raise CredentialsError(f"there is {present} without {missing}: write both")
    headers = _headers(texts.get("headers", ""))
    if "authorization" in {name.lower() for name, _ in headers} and ("token" in texts or "username" in texts):
        raise CredentialsError("headers has Authorization in addition to token or username: write one of them")
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
    """The text of an entry, without the line break that editors add at the end."""
    if len(value) > _MAX_BYTES:
        raise CredentialsError(f"{name} is longer than {_MAX_BYTES // 1000} kB: write nothing else into it")
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
    headers: dict[str, Header] = {}  # by name in lower case
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        header = _HEADER.fullmatch(line)
        if header is None:
            raise CredentialsError(
                f"line {number} of headers is none: write NAME: VALUE, such as X-Scope-OrgID: team-a"
            )
        name, value = header[1], header[2]
        if name.lower() in _SET_BY_CLIENT or name.lower() in headers:
            raise CredentialsError(f"line {number} of headers sets one that is set already: leave it out")
        headers[name.lower()] = name, value
    return tuple(headers.values())


def _quoted(names: list[str]) -> str:
    """The first name, cut if it is long, and how many others there are."""
    first = names[0] if len(names[0]) <= 50 else f"{names[0][:50]}..."
    return f"{first!r}" if len(names) == 1 else f"{first!r} (and {len(names) - 1} more)"
