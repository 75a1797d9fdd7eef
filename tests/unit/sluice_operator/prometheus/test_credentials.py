"""What files say of who asks: each of them means one thing, and what cannot be used is told without its value."""

from __future__ import annotations

import pytest

from sluice_operator.prometheus.credentials import Credentials, CredentialsError, parse

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
def test_every_name_has_a_meaning(entries: dict[str, bytes], credentials: Credentials) -> None:
    """Editors add a line end, which is no part of it."""
    assert parse(entries) == credentials


@pytest.mark.parametrize(
    ("entries", "told"),
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
        ({"headers": b"authorization: hidden", "token": b"hidden"}, "headers has Authorization beside token"),
    ],
)
def test_what_cannot_be_used_is_told_and_not_shown(entries: dict[str, bytes], told: str) -> None:
    """With what to write; the sentence ends up in status, where everybody reads it."""
    with pytest.raises(CredentialsError) as refused:
        parse(entries)
    assert told in str(refused.value)
    assert "hidden" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_values_are_not_shown_by_accident() -> None:
    """Not in a traceback's locals, nor in a log of objects."""
    assert "hidden" not in repr(parse({"username": b"hidden", "password": b"hidden", "headers": b"X-One: hidden"}))
