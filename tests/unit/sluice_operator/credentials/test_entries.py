"""Credentials from files: each name has one meaning, and unusable ones are reported without their values."""

from __future__ import annotations

import pytest

from sluice_operator.credentials.entries import Credentials, CredentialsError, parse

CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nhidden\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN PRIVATE KEY-----\nhidden\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("entries", "credentials"),
    [
        ({}, Credentials()),
        ({"token": b"abc.def\n"}, Credentials(token="abc.def")),
        (
            {"username": b"us\n", "password": "a: ü\r\n".encode()},
            Credentials(username="us", password="a: ü"),
        ),
        (
            {"headers": b"X-Scope-OrgID: team-a\n\r\nAuthorization:  ApiKey x y \n"},
            Credentials(headers=(("X-Scope-OrgID", "team-a"), ("Authorization", "ApiKey x y"))),
        ),
        (
            {"token": b"t", "ca.crt": CERTIFICATE, "tls.crt": CERTIFICATE, "tls.key": KEY, "headers": b""},
            Credentials("t", "", "", CERTIFICATE.decode().strip(), CERTIFICATE.decode().strip(), KEY.decode().strip()),
        ),
    ],
)
def test_each_known_name_is_read(entries: dict[str, bytes], credentials: Credentials) -> None:
    """Without the line break that editors add at the end."""
    assert parse(entries) == credentials


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"tokn": b"hidden"}, "'tokn' is none of the names that mean something: token; username and password; ca.crt"),
        ({"x" * 99: b"", "y": b""}, f"'{'x' * 50}...' (and 1 more) is none of the names"),
        ({"token": b"hidden", "username": b"hidden", "password": b"p"}, "there are both token and username: write one"),
        ({"token": b"hidden", "password": b"hidden"}, "there are both token and username: write one of them"),
        ({"username": b"hidden"}, "there is username without password: write both"),
        ({"password": b"hidden"}, "there is password without username: write both"),
        ({"tls.crt": CERTIFICATE}, "there is tls.crt without tls.key: write both"),
        ({"tls.key": KEY}, "there is tls.key without tls.crt: write both"),
        ({"token": b"\n"}, "token is empty or has more than one line: write it alone"),
        ({"token": b"hidden\nhidden"}, "token is empty or has more than one line: write it alone"),
        ({"token": b"Bearer hidden"}, 'write the token alone, without "Bearer"'),
        ({"token": b"\xff\xfe"}, "token is no text: write it in UTF-8"),
        ({"token": b"h" * 200_000}, "token is longer than 100 kB: write nothing else into it"),
        ({"username": b"hidden:x", "password": b"p"}, 'username has a ":" in it'),
        ({"username": b"us", "password": b""}, "password is empty or has more than one line"),
        ({"ca.crt": b"hidden"}, "ca.crt holds no certificate in PEM: it begins with -----BEGIN"),
        ({"tls.crt": KEY, "tls.key": KEY}, "tls.crt holds no certificate in PEM"),
        ({"tls.crt": CERTIFICATE, "tls.key": CERTIFICATE}, "tls.key holds no private key in PEM"),
        (
            {"tls.crt": CERTIFICATE, "tls.key": KEY.replace(b"PRIVATE", b"ENCRYPTED PRIVATE")},
            "tls.key is encrypted: write a key without a passphrase",
        ),
        (
            {"headers": b"X-One: 1\nhidden"},
            "line 2 of headers is none: write NAME: VALUE, such as X-Scope-OrgID: team-a",
        ),
        ({"headers": b"X One: hidden"}, "line 1 of headers is none"),
        ({"headers": b"X-One:"}, "line 1 of headers is none"),
        ({"headers": "X-One: hidden ü".encode()}, "line 1 of headers is none"),
        ({"headers": b"X-One: hidden\x00"}, "line 1 of headers is none"),
        ({"headers": b"X-One: 1\nx-one: hidden"}, "line 2 of headers sets one that is set already: leave it out"),
        ({"headers": b"Host: hidden"}, "line 1 of headers sets one that is set already: leave it out"),
        ({"headers": b"authorization: hidden", "token": b"hidden"}, "headers has Authorization in addition to token"),
    ],
)
def test_unusable_credentials_are_reported_without_their_values(entries: dict[str, bytes], message: str) -> None:
    """The message says what to write. It appears in status, which many people can read."""
    with pytest.raises(CredentialsError) as refused:
        parse(entries)
    assert message in str(refused.value)
    assert "hidden" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_the_repr_has_no_values() -> None:
    """Tracebacks and logs may show it."""
    assert "hidden" not in repr(parse({"username": b"hidden", "password": b"hidden", "headers": b"X-One: hidden"}))
