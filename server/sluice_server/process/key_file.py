"""The keys of prediction ids, read again when their file changes.

Kubernetes puts a changed Secret into running pods, each after a while of its own. The key before stays accepted, so
that no id which was issued before is lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from sluice_server.inference.prediction_ids import Keyring, PredictionId
from sluice_server.variables import SettingError

SHORTEST_KEY = 16  # bytes; with an empty one anybody could sign
LOOK_AGAIN = 5.0  # seconds between two looks at the file

logger = logging.getLogger("sluice.serve")


class KeyFile:
    """`Keys` of a file. `previous`, a file beside it, is the key before, if somebody changes keys on purpose."""

    def __init__(self, file: Path, keyring: Keyring, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._keyring = keyring
        self._clock = clock
        self._looked_at = clock()

    def issue(self, prediction: PredictionId) -> str:
        """See `Keyring.issue`."""
        self._look()
        return self._keyring.issue(prediction)

    def read(self, text: str, now: float, max_age: float) -> PredictionId:
        """See `Keyring.read`."""
        self._look()
        return self._keyring.read(text, now, max_age)

    def _look(self) -> None:
        """Take the keys of the file, if they are others and can be used."""
        if self._clock() < self._looked_at + LOOK_AGAIN:
            return
        self._looked_at = self._clock()
        try:
            found = _read(self._file)
        except (OSError, SettingError) as error:
            logger.warning("the keys of prediction ids stay as they are: %s", error)
            return
        if found.current == self._keyring.current:
            return
        logger.info("prediction ids are signed with another key from now on")
        self._keyring = Keyring(found.current, found.previous or self._keyring.current)


def keys(file: Path) -> KeyFile | None:
    """The keys in the file; None turns feedback off."""
    try:
        return KeyFile(file, _read(file))
    except OSError as error:
        logger.warning("feedback is off: no key (%s)", error)
        return None


def _read(file: Path) -> Keyring:
    """Raises OSError without a file, and SettingError for a key that is too short."""
    before = file.with_name("previous")
    keyring = Keyring(file.read_bytes().strip(), before.read_bytes().strip() if before.is_file() else None)
    if any(key is not None and len(key) < SHORTEST_KEY for key in (keyring.current, keyring.previous)):
        raise SettingError(f"SLUICE_FEEDBACK_KEY_FILE is {str(file)!r}: a key needs at least {SHORTEST_KEY} bytes.")
    return keyring
