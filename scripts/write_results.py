"""Write docs/results.md and its plots from the shipped board and the shipped transfer study.

python scripts/publish_board.py runs/full
python scripts/write_results.py
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dialog_gym.benchmarks.board import read_board, show_board
from dialog_gym.benchmarks.results_page import write_results
from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.benchmarks.transfer import Transfer
from dialog_gym.core import DialogGymError

ROOT = Path(__file__).parents[1]
TRANSFER = ROOT / "benchmarks/results/transfer.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", default="credit-v1")
    parser.add_argument("--board", type=Path, help="a board.json instead of the shipped one")
    parser.add_argument("--transfer", type=Path, help="a transfer.json instead of the shipped one")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results.md")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.board:
            board = read_board(chosen.board.read_text("utf-8"), load_suite(chosen.suite))
        else:
            board = show_board(chosen.suite)
        study = chosen.transfer or (TRANSFER if TRANSFER.is_file() else None)
        transfer = Transfer.model_validate_json(study.read_text("utf-8")) if study else None
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        for path in write_results(board, chosen.out, transfer):
            print(path)
    except (DialogGymError, OSError, ValueError) as error:
        print(f"not written: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
