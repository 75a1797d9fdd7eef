"""A process that judges one recorded run again: a packed record in base64 on its input, a report as JSON on its output.

It limits itself first: whoever may write ConfigMaps chooses its input.
"""

import base64
import binascii
import resource
import sys

import msgspec

from sluice_operator import report
from sluice_operator.records import run_record
from sluice_operator.records.replay import replayed
from sluice_operator.records.run_record import UnreadableRecordError
from sluice_operator.web.pages.run import MOST_BYTES, Report

_CPU_SECONDS = 60  # a run of a day, in ticks of 5 seconds, takes about 26
_BYTES = 320 * 1024 * 1024  # of memory that it may write to; a run of a day takes about 80 MB


def main() -> int:
    """Always exit code 0, with a report or with why there is none, unless a limit ends the process."""
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_DATA, (_BYTES, _BYTES))
    sys.stdout.buffer.write(_bounded(msgspec.json.encode(_judged(sys.stdin.buffer.read()))))
    return 0


def _bounded(encoded: bytes) -> bytes:
    """An encoded report; in place of one that is too long, why it is not shown."""
    if len(encoded) <= MOST_BYTES:
        return encoded
    size, most = len(encoded) / 1024**2, MOST_BYTES // 1024**2
    trouble = f"The report would have {size:.1f} MiB, and this page shows {most} MiB at most"
    return msgspec.json.encode(Report(trouble=f"{trouble}: `kubectl sluice replay` shows it."))


def _judged(packed: bytes) -> Report:
    try:
        replay = replayed(run_record.decoded(base64.b64decode(packed, validate=True)))
    except (binascii.Error, UnreadableRecordError) as error:
        return Report(trouble=f"The record cannot be read: {error}.")
    return Report(report.title(replay), str(report.content(replay)))


if __name__ == "__main__":
    sys.exit(main())
