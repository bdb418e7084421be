"""Ship a board: copy a finished run's board into the package, and its table into the README.

dialog-gym leaderboard --preset full --out runs/full
python scripts/publish_board.py runs/full
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dialog_gym.benchmarks.board import Board, read_board
from dialog_gym.benchmarks.leaderboard import NO_LEARNING
from dialog_gym.benchmarks.suite import load_suite
from dialog_gym.core import DialogGymError
from dialog_gym.domains.credit.domain import CreditDomain
from dialog_gym.files import write_text

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- board -->", "<!-- /board -->"


def check(board: Board) -> None:
    """A shipped board is of the whole suite, of this shop, with everybody on it.

    Raises:
        DialogGymError: it is not.
    """
    present = CreditDomain().config_hash
    for row in board.rows:
        wanted = board.suite.size * row.result.seeds
        if row.result.episodes != wanted:
            raise DialogGymError(f"{row.name} played {row.result.episodes:,} dialogues of {wanted:,}")
        if (made := row.result.versions["domain"].split()[-1]) != present:
            raise DialogGymError(f"{row.name} played in shop {made}, this is {present}")
    if missing := set(NO_LEARNING) - {row.result.agent for row in board.rows}:
        raise DialogGymError(f"the board lacks {', '.join(sorted(missing))}")


def publish(folder: Path, root: Path = ROOT, *, suite_name: str = "credit-v1") -> None:
    """Copy ``board.json`` of a folder to the package's results, and the ranked table to the README.

    Raises:
        DialogGymError: the board may not be shipped.
    """
    text = (folder / "board.json").read_text("utf-8")
    board = read_board(text, load_suite(suite_name))
    check(board)
    readme = root / "README.md"
    before, _, rest = readme.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    write_text(root / f"benchmarks/results/{suite_name}.json", text)
    write_text(readme, f"{before}{BEGIN}\n{board.main().markdown()}\n{END}{after}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of a finished `dialog-gym leaderboard`")
    try:
        publish(parser.parse_args(arguments).folder)
    except (DialogGymError, OSError) as error:
        print(f"not published: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
