"""The trainer's commands in this process: to start Python with MLflow takes longer than most of them."""

from __future__ import annotations

import io
import os
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

from sluice_trainer.__main__ import main


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it has printed."""

    code: int
    out: str
    err: str


def run(*argv: str, **environment: str) -> Done:
    """A command, with these variables of the environment; what it sets itself is taken back."""
    out, err = io.StringIO(), io.StringIO()
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        with warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(err):
            warnings.simplefilter("ignore")  # of MLflow, about what it imports; another test looks at warnings
            code = main(argv)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return Done(code, out.getvalue(), err.getvalue())
