"""Which servers may be asked is told from an address alone, and nobody else reads it differently."""

from __future__ import annotations

import pytest

from sluice_operator.api import urls


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://prometheus.example", "https://prometheus.example"),
        ("http://prometheus.monitoring.svc:9090/", "http://prometheus.monitoring.svc:9090"),
        ("https://mimir.example/team-a/prometheus", "https://mimir.example/team-a/prometheus"),
        ("https://[::1]:9090", "https://[::1]:9090"),
    ],
)
def test_an_address_is_taken_as_it_is(url: str, plain: str) -> None:
    """But for a slash at its end."""
    assert urls.plain(url) == plain


@pytest.mark.parametrize("url", ["https://us:hidden@prometheus", "http://hidden@prometheus:9090", "http://hidden@"])
def test_a_password_in_an_address_is_refused_and_not_shown(url: str) -> None:
    """With where to write it instead."""
    with pytest.raises(ValueError, match="leave them out, and write username and password as files") as refused:
        urls.plain(url)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "prometheus:9090",
        "ftp://prometheus",
        "https://",
        "https://prometheus:port",
        "https://prometheus?token=hidden",
        "https://prometheus#x",
        "https://prometheus /",
        "https://prometheus\n",
        "https://prometheus\\.evil.example",
        "https://[::1",
        "",
    ],
)
def test_what_is_more_or_less_than_an_address_is_refused(url: str) -> None:
    """Two parsers could find two hosts in it."""
    with pytest.raises(ValueError, match=r"^not an address: write scheme, host, and port or path") as refused:
        urls.plain(url)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "admitted"),
    [
        ("https://prometheus.team-a.svc:9090", True),
        ("https://prometheus.team-a.svc", False),
        ("https://prometheus.team-a.svc:9091", False),
        ("https://other.example", True),
        ("https://other.example/x.svc:9090", True),
        ("https://evil.example/x.svc:9090", False),
        ("https://other.example.evil", False),
    ],
)
def test_a_list_admits_hosts_and_ports(url: str, admitted: bool) -> None:
    """Not what comes after them."""
    assert urls.admits(("*.svc:9090", "other.example"), urls.host(url)) is admitted
