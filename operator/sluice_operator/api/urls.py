"""Addresses of servers that users write. Whether one may be asked is decided from its text, before a request. Pure."""

import re
from collections.abc import Iterable
from fnmatch import fnmatch
from urllib.parse import urlsplit

# Strict, so that no two parsers can find different hosts in one text.
_PLAIN = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")


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
    if not _PLAIN.fullmatch(url):
        raise ValueError(
            "not an address: write scheme, host, and port or path, such as https://prometheus.example:9090"
        )
    return url.rstrip("/")
