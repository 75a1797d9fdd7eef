"""What the environment of the store may say, and what a bad value gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice_store.__main__ import main
from sluice_store.files import Files
from sluice_store.labels.label_book import LabelBook
from sluice_store.settings import SettingError, read

OPEN = {"SLUICE_STORE_OPEN": "true"}


def test_a_store_without_a_key_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody runs an open store by having forgotten something; the sentence says both ways out."""
    assert main(["serve"], {"SLUICE_STORE_KEY_FILE": str(tmp_path / "none")}) == 2
    told = capsys.readouterr().err
    assert "SLUICE_STORE_KEY_FILE" in told
    assert "openssl rand -hex 32" in told
    assert "SLUICE_STORE_OPEN=true" in told


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    """With an empty one anybody could make tokens."""
    (tmp_path / "key").write_bytes(b"short\n")
    with pytest.raises(SettingError, match="at least 16 bytes"):
        read({"SLUICE_STORE_KEY_FILE": str(tmp_path / "key")})


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """Settings that get into a log or a traceback tell neither key nor password."""
    (tmp_path / "key").write_bytes(b"verysecretverysecret")
    env = {
        "SLUICE_STORE_KEY_FILE": str(tmp_path / "key"),
        "SLUICE_STORE_DATABASE_URL": "postgresql://sluice:verysecret@db/labels",
    }
    assert "verysecret" not in repr(read(env))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLUICE_STORE_OPEN", "yes"),
        ("SLUICE_STORE_PORT", "80.5"),
        ("SLUICE_STORE_PORT", "70000"),
        ("SLUICE_STORE_MAX_MODEL_BYTES", "10GB"),
        ("SLUICE_STORE_MAX_NAMESPACE_BYTES", "-1"),
        ("SLUICE_STORE_MODEL_MAX_AGE", "90d"),
        ("SLUICE_STORE_MAX_PREDICTION_BYTES", "1GB"),
        ("SLUICE_STORE_PREDICTION_MAX_AGE", "0"),
        ("SLUICE_STORE_MAX_LABEL_BYTES", "1GB"),
        ("SLUICE_STORE_MAX_RUN_BYTES", "-1"),
        ("SLUICE_STORE_LABEL_MAX_AGE", "-1"),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: str) -> None:
    """With the value and what it must be."""
    with pytest.raises(SettingError, match=f"{name} is '{value}': it must be"):
        read(OPEN | {name: value})


def test_models_are_kept_long_enough_for_pods_to_tell_of_them() -> None:
    """They do so each day; 0 is for ever."""
    assert read(OPEN | {"SLUICE_STORE_MODEL_MAX_AGE": "0"}).model_max_age == 0
    with pytest.raises(SettingError, match="SLUICE_STORE_MODEL_MAX_AGE is 86400: it must be at least 604800"):
        read(OPEN | {"SLUICE_STORE_MODEL_MAX_AGE": "86400"})


@pytest.mark.parametrize("url", ["/var/lib/store", "ftp://host/folder", "s3://", "http://host/bucket", "file://host/x"])
def test_a_place_for_files_that_cannot_be_used_is_refused(url: str) -> None:
    """When the store starts, and not with the first model."""
    with pytest.raises(SettingError, match="SLUICE_STORE_FILES_URL"):
        Files(url)


@pytest.mark.parametrize("address", ["nowhere", "s3.example.com:9000", "https://"])
def test_an_address_of_an_object_store_that_is_none_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would end each request with a trace."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(SettingError, match=f"AWS_ENDPOINT_URL is '{address}', and must be an address such as"):
        Files("s3://bucket/prefix")


@pytest.mark.parametrize("url", ["mysql://u:verysecret@h/db", "verysecret", "sqlite+aiosqlite:///x"])
def test_a_database_that_cannot_be_used_is_refused(url: str) -> None:
    """The sentence does not repeat an address that may hold a password."""
    with pytest.raises(SettingError, match="SLUICE_STORE_DATABASE_URL") as refused:
        LabelBook(url, 60)
    assert "verysecret" not in str(refused.value)


def test_the_command_prints_a_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For a Secret that a person makes; a text that is no namespace gets none."""
    (tmp_path / "key").write_bytes(b"k" * 32)
    env = {"SLUICE_STORE_KEY_FILE": str(tmp_path / "key")}
    assert main(["token", "team-a"], env) == 0
    assert capsys.readouterr().out.startswith("team-a.")
    assert main(["token", "Team A"], env) == 2
    assert main(["token", "team-a"], OPEN) == 2
