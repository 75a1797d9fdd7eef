"""Addresses of servers that users write. Whether one may be asked is decided from its text, before a request. Pure."""

import re
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatch
from ipaddress import IPv6Address
from urllib.parse import urlsplit

# Strict, so that no two parsers can find different hosts in one text.
_PLAIN = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")

_LONGEST_HOST, _LONGEST_LABEL, _LAST_PORT = 253, 63, 65_535
_SHOWN = 80  # characters of a host in a message


def host(url: str) -> str:
    """The `host:port` of a URL, or only the host if it names no port. Raises ValueError."""
    return urlsplit(url).netloc.rpartition("@")[2]  # without user and password


def admits(patterns: Iterable[str], address: str) -> bool:
    """Whether `address`, in the form that `host` returns, matches one of the patterns, such as `*.models.svc:5000`."""
    return any(fnmatch(address, pattern) for pattern in patterns)


def plain(url: str) -> str:
    """`url` without a slash at its end.

    Raises ValueError if it is not a plain address or holds a password; the message does not show the password.
    """
    try:
        has_user = "@" in urlsplit(url).netloc
    except ValueError:
        has_user = False
    if has_user:
        raise ValueError("the URL holds a user or a password: leave them out, and write username and password as files")
    found = _PLAIN.fullmatch(url)
    if found is None:
        raise ValueError(
            "not an address: write scheme, host, and port or path, such as https://prometheus.example:9090"
        )
    if not _may_be_a_host(found[1]):
        raise ValueError(
            f"{found[1][:_SHOWN]!r} is no host: between dots are 1 to 63 characters, and 253 in all; or an address"
        )
    if found[2] and not 0 < int(found[2][1:]) <= _LAST_PORT:
        raise ValueError(f"there is no port {found[2][1:]}: ports are from 1 to {_LAST_PORT}")
    return url.rstrip("/")


def _may_be_a_host(text: str) -> bool:
    """Whether a resolver would look for it. Others raise all kinds of errors where it is asked for."""
    if text.startswith("["):
        with suppress(ValueError):
            return bool(IPv6Address(text[1:-1]))
        return False
    labels = text.removesuffix(".").split(".")
    return len(text) <= _LONGEST_HOST and all(0 < len(label) <= _LONGEST_LABEL for label in labels)
