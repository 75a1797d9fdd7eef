"""Certificate authorities for tests, made with openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """A certificate authority. Its files are in `folder`."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Authority:
        folder.mkdir()
        _key(folder / "ca.key")
        subject = ("-subj", f"/CN={folder.name}", "-days", "2")
        usage = ("-addext", "keyUsage=critical,keyCertSign")
        _openssl("req", "-x509", "-new", "-key", folder / "ca.key", "-out", folder / "ca.crt", *subject, *usage)
        return cls(folder)

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    def pair(self, name: str, address: str = "IP:127.0.0.1") -> tuple[Path, Path]:
        """A certificate for `address` that this authority has signed, and its key."""
        key, request, certificate = (self.folder / f"{name}.{suffix}" for suffix in ("key", "csr", "crt"))
        extension = self.folder / f"{name}.ext"
        extension.write_text(f"subjectAltName={address}\nextendedKeyUsage=serverAuth,clientAuth\n")
        _key(key)
        _openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
        signed_by = ("-CA", self.certificate, "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-days", "2")
        _openssl("x509", "-req", "-in", request, *signed_by, "-extfile", extension, "-out", certificate)
        return certificate, key


def _key(path: Path) -> None:
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
