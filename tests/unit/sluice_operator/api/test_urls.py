"""Whether a server may be asked is decided from the text of its address, which no parser can read differently."""

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
        ("http://gateway.models.svc.cluster.local.:65535", "http://gateway.models.svc.cluster.local.:65535"),
        (f"http://{'a' * 63}.svc", f"http://{'a' * 63}.svc"),
    ],
)
def test_an_address_is_taken_as_it_is(url: str, plain: str) -> None:
    """Only a slash at its end is removed."""
    assert urls.plain(url) == plain


@pytest.mark.parametrize("url", ["https://us:hidden@prometheus", "http://hidden@prometheus:9090", "http://hidden@"])
def test_an_address_with_a_password_is_refused_and_not_shown(url: str) -> None:
    """The message says where to write it."""
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
def test_text_that_is_not_a_plain_address_is_refused(url: str) -> None:
    """Two parsers could find different hosts in it."""
    with pytest.raises(ValueError, match=r"^not an address: write scheme, host, and port or path") as refused:
        urls.plain(url)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://a..b", "'a..b' is no host"),
        ("http://.svc", "is no host"),
        (f"http://{'a' * 64}.svc", "is no host"),
        ("http://" + "a." * 127, "is no host"),
        ("http://[::1::2]", "is no host"),
        ("http://gateway:99999", "there is no port 99999"),
        ("http://gateway:0", "there is no port 0"),
    ],
)
def test_an_address_that_nobody_can_ask_is_refused(url: str, why: str) -> None:
    """Each library that gets it would raise something else, and later."""
    with pytest.raises(ValueError, match=why):
        urls.plain(url)


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
    """Not paths."""
    assert urls.admits(("*.svc:9090", "other.example"), urls.host(url)) is admitted
