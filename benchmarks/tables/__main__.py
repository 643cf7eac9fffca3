"""Every mapping of a small space on a real pair, several draws of the data, short runs and full ones.

    nice python -m benchmarks.tables PAIR [--seeds 5] [--minutes 20] [--state benchmarks/recorded/tables-PAIR.json]
    python -m benchmarks.tables --report [--record benchmarks/recorded]

The same command goes on where it was stopped. A seed draws the training samples anew.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks.machine import machine_name
from benchmarks.recording import RECORDED
from benchmarks.tables.filling import fill_together
from benchmarks.tables.page import page
from benchmarks.tables.pairs import PAIRS
from benchmarks.tables.table import read_table
from benchmarks.tables.training import open_pair


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pair", nargs="?", choices=PAIRS, help="the pair whose table is to be filled")
    parser.add_argument("--seeds", type=int, default=5, help="draws of the data (5)")
    parser.add_argument("--processes", type=int, default=1, help="at work beside each other on the table (1)")
    parser.add_argument("--minutes", type=float, default=20.0, help="stop after so many (20)")
    parser.add_argument("--state", type=Path, help="what was trained so far")
    parser.add_argument("--cache", type=Path, default=Path("mapsearch-cache/tables"), help="folder of trained teachers")
    parser.add_argument("--report", action="store_true", help="say what the recorded tables say")
    parser.add_argument("--replays", type=int, default=6, help="searches of each proposer in the report (6)")
    parser.add_argument("--record", type=Path, help="folder to write the report into")
    parser.add_argument("--quick", action="store_true", help="a smoke test: a report with one search each")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.pair:
        state = options.state or RECORDED / f"tables-{options.pair}.json"
        opened = open_pair(PAIRS[options.pair].study, options.cache / options.pair)
        seconds = 60 * options.minutes
        fill_together(opened, PAIRS[options.pair], options.seeds, seconds, state, options.processes)
    if options.report or options.quick:
        report(1 if options.quick else options.replays, options.record)


def report(n_seeds: int, folder: Path | None) -> None:
    """Print the page of all recorded tables, and write it if asked."""
    paths = [path for name in PAIRS if (path := RECORDED / f"tables-{name}.json").exists()]
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    head = (
        f"`python -m benchmarks.tables --report --replays {n_seeds}`, {date}; trained and computed on {machine_name()}."
    )
    text = f"# Every mapping of a small space\n\n{head}\n\n{page([read_table(path) for path in paths], n_seeds)}"
    print(text)
    if folder:
        (folder / "tables.md").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
