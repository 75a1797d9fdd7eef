"""`python -m sluice_trainer validate`: reads a data set and a schema, and says what is wrong with the data.

Exit codes: 0 the score is high enough; 1 it is too low; 2 the data or the schema cannot be read.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from sluice_trainer import arguments as flags
from sluice_trainer import data, labelled, quality, store_client
from sluice_trainer.console import log
from sluice_trainer.quality import Quality

SAMPLE_SCHEMA = Path(__file__).with_name("iris-schema.json")
_READERS = {".csv": pd.read_csv, ".parquet": pd.read_parquet}


def add(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("validate", help="check a data set against a schema")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="a file .csv or .parquet")
    source.add_argument("--sample", action="store_true", help="the iris data, with the schema that comes with them")
    source.add_argument("--store", metavar="NAME", help="kept predictions of a ModelDeployment that have a label")
    flags.add_store(parser)
    parser.add_argument(
        "--schema", type=Path, help="a file of JSON, see docs/trainer.md (default: that of iris; needed with --data)"
    )
    parser.add_argument("--min-score", type=float, default=80.0, help="exit code 1 below it (default: %(default)g)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what was found, and the score."""
    try:
        table, schema = _read(arguments)
    except (OSError, ValueError, ImportError, quality.BadSchemaError) as error:
        print(f"cannot be validated: {error}", file=sys.stderr)
        return 2
    measured = quality.measure(table, schema)
    good = measured.score >= arguments.min_score
    print(_as_json(measured, good) if arguments.json else _as_text(measured, good, arguments.min_score))
    return 0 if good else 1


def schema_in(file: Path | None) -> quality.Schema:
    """The schema in a file of JSON, or that of iris. Raises OSError, ValueError and BadSchemaError."""
    return quality.parse(json.loads((file or SAMPLE_SCHEMA).read_text(encoding="utf-8")))


def _read(arguments: argparse.Namespace) -> tuple[pd.DataFrame, quality.Schema]:
    if arguments.data and arguments.schema is None:
        raise quality.BadSchemaError("name the schema of the data with --schema")
    schema = schema_in(arguments.schema)
    if arguments.sample:
        return sample(), schema
    if arguments.store:
        window = labelled.until_now(time.time(), arguments.days)
        rows = store_client.connected(arguments.store_url).fetch(arguments.store, window)
        if not rows:
            log(labelled.none_of(arguments.store, window))
        return labelled.table(rows, schema), schema
    reader = _READERS.get(arguments.data.suffix)
    if reader is None:
        raise quality.BadSchemaError(f"{arguments.data} is neither .csv nor .parquet")
    return reader(arguments.data), schema


def sample() -> pd.DataFrame:
    """The iris data with their labels as text."""
    iris = data.iris()
    return iris.frame.assign(species=[iris.class_names[label] for label in iris.labels])


def _as_text(measured: Quality, good: bool, least: float) -> str:
    findings = [f"{finding.where or 'the data set'}: {finding.what}" for finding in measured.findings]
    verdict = "enough" if good else "too low"
    return "\n".join([*findings, f"score {measured.score:.1f} of {measured.rows} rows, {verdict} ({least:g})"])


def _as_json(measured: Quality, good: bool) -> str:
    return json.dumps({**asdict(measured), "good": good})
