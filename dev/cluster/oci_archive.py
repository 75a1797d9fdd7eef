"""Wraps one root file system (a tar file) as an image archive with one layer.

The archive is an OCI layout that also carries a docker manifest, so containerd, buildah and docker all read it.
Standard library only: it runs before anything is installed.

    oci_archive.py [--env KEY=VALUE]... [--user USER] ROOTFS.tar OUT.tar NAME:TAG ENTRYPOINT...
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import platform
import tarfile
from pathlib import Path

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
EPOCH = "1970-01-01T00:00:00Z"  # no clock in an archive: same input, same digest
OCI = "application/vnd.oci.image"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rootfs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("image")
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--user", default="")
    parser.add_argument("entrypoint", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    with given.rootfs.open("rb") as rootfs:
        layer = "sha256:" + hashlib.file_digest(rootfs, "sha256").hexdigest()
    config = image_config(layer, given.env, given.user, given.entrypoint)
    partial = given.out.with_name(given.out.name + ".partial")
    write_archive(partial, given.image, given.rootfs, layer, config)
    os.replace(partial, given.out)


def image_config(layer: str, env: list[str], user: str, entrypoint: list[str]) -> dict[str, object]:
    """The image's configuration document; `layer` is the digest of the uncompressed layer."""
    run = {"Env": env if any(entry.startswith("PATH=") for entry in env) else [PATH, *env]}
    return {
        "architecture": ARCHITECTURES[platform.machine()],
        "os": "linux",
        "created": EPOCH,
        "config": run | ({"User": user} if user else {}) | ({"Entrypoint": entrypoint} if entrypoint else {}),
        "rootfs": {"type": "layers", "diff_ids": [layer]},
        "history": [{"created": EPOCH, "created_by": "oci_archive"}],
    }


def write_archive(out: Path, image: str, rootfs: Path, layer: str, config: dict[str, object]) -> None:
    """Writes the OCI layout: index, docker manifest, configuration, manifest, and the layer as it is."""
    config_raw = as_json(config)
    manifest_raw = as_json(
        {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": {"mediaType": f"{OCI}.config.v1+json", **described(config_raw)},
            "layers": [{"mediaType": f"{OCI}.layer.v1.tar", "digest": layer, "size": rootfs.stat().st_size}],
        }
    )
    names = {"io.containerd.image.name": image, "org.opencontainers.image.ref.name": image}
    entry = {"mediaType": f"{OCI}.manifest.v1+json", **described(manifest_raw), "annotations": names}
    docker = [{"Config": blob(digest(config_raw)), "RepoTags": [image], "Layers": [blob(layer)]}]
    with tarfile.open(out, "w") as archive:
        add(archive, "oci-layout", as_json({"imageLayoutVersion": "1.0.0"}))
        add(archive, "index.json", as_json({"schemaVersion": 2, "manifests": [entry]}))
        add(archive, "manifest.json", as_json(docker))
        add(archive, blob(digest(config_raw)), config_raw)
        add(archive, blob(digest(manifest_raw)), manifest_raw)
        archive.add(rootfs, arcname=blob(layer))


def as_json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def digest(raw: bytes) -> str:
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def described(raw: bytes) -> dict[str, object]:
    return {"digest": digest(raw), "size": len(raw)}


def blob(of: str) -> str:
    return "blobs/" + of.replace(":", "/")


def add(archive: tarfile.TarFile, name: str, raw: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(raw)
    archive.addfile(member, io.BytesIO(raw))


if __name__ == "__main__":
    main()
