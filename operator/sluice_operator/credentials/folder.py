"""The files of a folder, such as a mounted Secret, as the entries that credentials are parsed from."""

from pathlib import Path

from sluice_operator.credentials.entries import CredentialsError, Entries


def files(folder: str) -> Entries:
    """The content of the files of `folder` by name. Raises CredentialsError.

    Names with two dots in front are left out: in a mounted Secret they are links of the kubelet.
    """
    try:
        return {file.name: file.read_bytes() for file in Path(folder).iterdir() if not file.name.startswith("..")}
    except OSError as error:
        raise CredentialsError(f"{error.strerror or 'they cannot be read'}") from error
