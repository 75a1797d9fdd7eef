"""Addresses of servers that people give: which of them may be asked is told from the text alone, before anybody is."""

import re
from collections.abc import Iterable
from fnmatch import fnmatch
from urllib.parse import urlsplit

# Nothing in it that two parsers could take for different hosts.
_PLAIN = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")


def host(url: str) -> str:
    """The `host:port` of a URL, or the host alone where it names no port. Raises ValueError."""
    return urlsplit(url).netloc.rpartition("@")[2]  # what stands before it is no part of the address


def admits(patterns: Iterable[str], address: str) -> bool:
    """Whether an administrator's list, such as `*.models.svc:5000`, has the `address` that `host` found."""
    return any(fnmatch(address, pattern) for pattern in patterns)


def plain(url: str) -> str:
    """`url` without a slash at its end. Raises ValueError, which shows no password, if it is more than an address."""
    try:
        named = "@" in urlsplit(url).netloc
    except ValueError:
        named = False
    if named:
        raise ValueError("the URL holds a user or a password: leave them out, and write username and password as files")
    if not _PLAIN.fullmatch(url):
        raise ValueError(
            "not an address: write scheme, host, and port or path, such as https://prometheus.example:9090"
        )
    return url.rstrip("/")
