"""Values of flags, and flags that several commands have. A value that cannot be used is named, with what to write."""

import argparse
import os
import re
from pathlib import Path

RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)


def add_tracking_uri(parser: argparse.ArgumentParser) -> None:
    """`--tracking-uri`, for commands that ask MLflow."""
    parser.add_argument("--tracking-uri", help="MLflow server (default: $MLFLOW_TRACKING_URI)")


def add_name(parser: argparse.ArgumentParser) -> None:
    """`--name`, the registered model."""
    parser.add_argument(
        "--name",
        type=model_name,
        default=os.environ.get("MLFLOW_MODEL_NAME", "iris"),
        help="registered model name (default: $MLFLOW_MODEL_NAME, else iris)",
    )


def add_forest(parser: argparse.ArgumentParser) -> None:
    """What a forest is trained with, but for noise."""
    parser.add_argument("--trees", type=positive, default=100, help="number of trees (default: %(default)s)")
    parser.add_argument("--max-depth", type=positive, help="depth limit of each tree (default: none)")
    parser.add_argument("--seed", type=int, default=7, help="seed of split, noise and forest (default: %(default)s)")


def add_store(parser: argparse.ArgumentParser) -> None:
    """Where kept predictions come from, and of how many days."""
    parser.add_argument("--store-url", help="the store (default: $SLUICE_STORE_URL)")
    parser.add_argument(
        "--days", type=positive, default=14, help="how many days of predictions to take (default: %(default)s)"
    )


def model_name(text: str) -> str:
    """The name of a registered model."""
    if not text or "/" in text or ":" in text:
        raise argparse.ArgumentTypeError(f"'{text}' is not a model name: MLflow does not allow '/' and ':' in it")
    return text


def alias(text: str) -> str:
    """An alias that MLflow takes."""
    if not re.fullmatch(r"[\w-]{1,255}", text) or RESERVED_ALIAS.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"'{text}' is not an alias: use letters, digits, '_' and '-', and neither 'latest' nor 'v<number>'"
        )
    return text


def positive(text: str) -> int:
    """A whole number of 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of 1 or more")
    return int(text)


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a share between 0 and 1")
    return number


def file(text: str) -> Path:
    """A file that can be written."""
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"'{text}' cannot be written: name a file in a folder that exists")
    return path
