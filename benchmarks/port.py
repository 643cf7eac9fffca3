"""What a ported study saves: real studies of pruned networks on twenty images, cold and ported, beside each other.

    nice python -m benchmarks.port [--seeds 4] [--record benchmarks/recorded]

For each seed an old study of a student of three blocks, and one of four blocks twice: cold, and ported from the old
one. Beside them, ported from the old one with its values shuffled: a ranking that means nothing. A nominee is worth
its mean accuracy on the fresh seeds of the confirm stage, which are the same in all three.
"""

import argparse
import random
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from sqlalchemy import create_engine, select, update

from benchmarks.machine import machine_name
from benchmarks.recording import record
from mapsearch.api.porting import port
from mapsearch.api.queries import read
from mapsearch.controller.run import run_study
from mapsearch.core.spec import StudySpec
from mapsearch.core.study_file import stored_study
from mapsearch.core.trials import PROPOSALS
from mapsearch.store.schema import studies, trials

FOLDER = Path(__file__).parents[1] / "studies" / "digits"
OLD_BLOCKS, NEW_BLOCKS = [0, 2, 4], [0, 2, 3, 4]


def spec_of(name: str, seed: int, blocks: Sequence[int], *, quick: bool) -> StudySpec:
    """A study of `studies/few_images` with a stated margin and few controls, so that its price is the search's."""
    keys: dict[str, Any] = {
        "name": name, "task": "task.py:FewImages", "options": {"images": 20, "blocks": list(blocks)}, "seed": seed,
        "metric": "accuracy", "margin": 0.005, "train": {"steps": 80, "batch_size": 20, "lr": 1.0e-4},
        "similarity": {"samples": 512},
        "space": {
            "projector": ["none", "linear"], "feature_share": [0.1, 0.99], "share_of": "gradient",
            "anneal": [None, 1.0], "lr": [0.3, 1.0, 3.0],
        },
        "search": {"trials": 6 if quick else 36, "seeds": 2, "rungs": [0.3, 0.5, 1.0]},
        "confirm": {"finalists": 3, "seeds": 8, "context_seeds": 0},
    }  # fmt: skip
    return stored_study(keys, FOLDER)


def found(name: str, storage: str) -> dict[str, Any]:
    """What a study's nominee is worth, how many proposals and steps were paid for it, and whether a port held."""
    study, all_trials, runs = read(name, storage)
    assert study.facts.verdict is not None
    nominee = study.facts.verdict.nominee
    values = [run.value for run in runs if run.stage == "confirm" and run.trial == nominee and run.value is not None]
    proposals = {t.number for t in all_trials if t.proposer in PROPOSALS}
    searched = [run for run in runs if run.stage == "search" and run.trial in proposals]
    return {
        "worth": fmean(values),
        "proposals": len(proposals),
        "search runs": len(searched),
        "correlation": study.facts.port.correlation if study.facts.port else None,
        "held": study.facts.port.holds if study.facts.port else None,
    }


def shuffle(name: str, storage: str, seed: int) -> None:
    """Give the study's trials each other's values."""
    engine, rng = create_engine(storage), random.Random(seed)
    with engine.begin() as db:
        study_id = db.scalar(select(studies.c.id).where(studies.c.name == name))
        rows = db.execute(
            select(trials.c.number, trials.c.value).where(
                trials.c.study_id == study_id, trials.c.value.is_not(None), trials.c.proposer != "tune"
            )
        ).all()
        values = [row.value for row in rows]
        rng.shuffle(values)
        for row, value in zip(rows, values, strict=True):
            own = (trials.c.study_id == study_id) & (trials.c.number == row.number)
            db.execute(update(trials).where(own).values(value=value))
    engine.dispose()


def one_seed(seed: int, storage: str, *, quick: bool) -> dict[str, dict[str, Any]]:
    """The studies of one seed."""
    run_study(spec_of("old", seed, OLD_BLOCKS, quick=quick), storage, inline=True)
    new = {name: spec_of(name, seed, NEW_BLOCKS, quick=quick) for name in ("cold", "ported", "shuffled")}
    run_study(new["cold"], storage, inline=True)
    port("old", new["ported"], storage, inline=True)
    shuffle("old", storage, seed)
    port("old", new["shuffled"], storage, inline=True)
    return {name: found(name, storage) for name in new}


def table(rows: Sequence[Mapping[str, Mapping[str, Any]]]) -> str:
    """Markdown: means over seeds, and the gain over the cold study with its standard error."""
    lines = [
        "| study | worth | against cold | proposals | search runs | held |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in rows[0]:
        own = [row[name] for row in rows]
        gains = [row[name]["worth"] - row["cold"]["worth"] for row in rows]
        error = stdev(gains) / sqrt(len(gains)) if len(gains) > 1 else 0.0
        held = "" if own[0]["held"] is None else f"{sum(row['held'] for row in own)} of {len(own)}"
        worth, n_proposals, n_runs = (fmean(row[key] for row in own) for key in ("worth", "proposals", "search runs"))
        gain = f"{fmean(gains):+.4f} +- {error:.4f}"
        lines.append(f"| {name} | {worth:.4f} | {gain} | {n_proposals:.1f} | {n_runs:.1f} | {held} |")
    return "\n".join(lines)


def main() -> None:
    """Run the studies, print, and record if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4, help="seeds of the studies, four studies each")
    parser.add_argument("--record", type=Path, help="folder for port-<date>.md and .json")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one seed, six proposals")
    asked = parser.parse_args()
    rows = []
    for seed in range(1 if asked.quick else asked.seeds):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(one_seed(1 + 10_000 * seed, f"sqlite:///{folder}/port.db", quick=asked.quick))
        print(table(rows), flush=True)
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    head = f"`python -m benchmarks.port --seeds {len(rows)}`, {date}, {machine_name()}."
    if asked.record:
        record(
            asked.record,
            f"port-{date}",
            f"# Ported studies\n\n{head}\n\n{table(rows)}",
            {"command": head, "rows": rows},
        )


if __name__ == "__main__":
    main()
