"""`make simulate`: the full study, written to docs/simulation.md."""

import argparse
import os
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.simulation.plan import full_study
from tests.simulation.report import page
from tests.simulation.study import study


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--runs", type=int, default=150, help="of each regression (others: multiples of it)")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--output", type=Path, default=Path("docs/simulation.md"))
    options = parser.parse_args()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("batches"), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("")
        results = study(
            full_study(options.runs),
            options.processes,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    options.output.write_text(page(results, options.runs), encoding="utf-8")


if __name__ == "__main__":
    main()
