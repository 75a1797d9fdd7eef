"""`python -m dev.dashboards`: writes manifests/dashboards/*.json for Grafana. `make dashboards` calls it."""

import json
from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dev.dashboards import fleet, kpis, one_model, the_operator

FOLDER = Path(__file__).resolve().parents[2] / "manifests" / "dashboards"
BOARDS = (fleet.BOARD, one_model.BOARD, the_operator.BOARD, kpis.BOARD)


def files() -> Iterator[tuple[Path, str]]:
    """Each file, and what is to be in it."""
    for board in BOARDS:
        text = json.dumps(board.built(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
        yield FOLDER / f"{board.uid}.json", text + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for path, text in files():
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
