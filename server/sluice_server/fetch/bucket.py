"""A model's files in a bucket of S3, for MLflow servers that do not stand in front of them.

It takes the place of MLflow's own client for `s3:` addresses, whose library is not in the image. Keys, region and
endpoint come from the usual variables (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL, ...) and from MLflow's
MLFLOW_S3_ENDPOINT_URL, which wins. A thin shell over obstore.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from obstore.exceptions import BaseError
from obstore.store import S3Store

from sluice_server.fetch import bucket_words

if TYPE_CHECKING:
    from obstore.store import ClientConfig

_CHUNK = 2**20  # bytes of a file that are in memory at once
_PATIENCE = timedelta(seconds=20)  # with a store that does not answer
# `timeout` is for a whole request, and by default 30 s: a large model takes longer.
_CLIENT: ClientConfig = {
    "connect_timeout": "5s",
    "read_timeout": _PATIENCE,
    "timeout": timedelta(hours=6),
    "allow_http": True,
}


class Bucket(ArtifactRepository):  # type: ignore[misc]  # MLflow's port has no types
    """The files below `s3://bucket/prefix`, read only. All methods raise BucketError."""

    def __init__(self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        place, endpoint = urlsplit(artifact_uri), bucket_words.endpoint(os.environ)
        own: dict[str, Any] = {"aws_endpoint_url_s3": endpoint} if endpoint else {}
        with _told():
            self._store = S3Store(
                place.netloc,
                prefix=place.path.strip("/") or None,
                client_options=_CLIENT,
                retry_config={"max_retries": 2, "retry_timeout": _PATIENCE},
                **own,
            )

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        """The files and folders directly below `path`; none if that is a file, or if nothing is there."""
        with _told():
            found = obstore.list_with_delimiter(self._store, f"{path}/" if path else None)
        folders = [FileInfo(str(folder).rstrip("/"), True, None) for folder in found["common_prefixes"]]
        # Some tools put an empty object with the name of a folder into it.
        files = [file for file in found["objects"] if file["path"] != (path or "")]
        return folders + [FileInfo(str(file["path"]), False, file["size"]) for file in files]

    def download_artifacts(self, artifact_path: str, dst_path: str) -> str:
        """Puts one file below the folder `dst_path`; gives its path there."""
        target = str(self._create_download_destination(artifact_path, dst_path))
        with _told(), Path(target).open("wb") as file:
            for chunk in obstore.get(self._store, artifact_path).stream(min_chunk_size=_CHUNK):
                file.write(chunk)
        return target


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        raise bucket_words.error_of(str(error)) from None
