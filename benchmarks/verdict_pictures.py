"""The pictures of docs/verdict.md, from one real study and from the simulated ones.

    python -m benchmarks.verdict_pictures [--study few-images --storage sqlite:///mapsearch.db] [--folder docs]

With `--study` the verdict and the confirmed trials of that study are recorded first, as `recorded/verdict-study.json`.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.recording import RECORDED
from mapsearch.api.queries import show
from mapsearch.core.looks import LOOKS
from mapsearch.verdict.looks import look

STUDY, SIMULATED = RECORDED / "verdict-study.json", RECORDED / "verdict-2026-11-26.json"
COLOURS = {"BEATS": "#0072b2", "TIES": "#009e73", "WORSE": "#d55e00", "INCONCLUSIVE": "#8c8c8c"}
CONTEXT = "#555555"
LARGEST_SHOWN = 0.1
"""Gains beyond this are told by an arrow: few of the plot's readers look for how bad the worst control is."""


def keep(name: str, storage: str) -> None:
    """Record what `show --json` says of a study's verdict and of its confirmed trials."""
    told = show(name, storage)
    keys = ("name", "metric", "direction", "verdict")
    trials = [
        {key: t[key] for key in ("number", "confirmed_seeds", "confirmed")} for t in told["trials"] if t["confirmed"]
    ]
    STUDY.write_text(json.dumps({**{key: told[key] for key in keys}, "trials": trials}, indent=1), encoding="utf-8")


def draw_questions(study: Mapping[str, Any], path: Path) -> None:
    """A forest plot: questions with interval and single seeds, below them the context."""
    verdict, rows = study["verdict"], list(study["verdict"]["against"])
    figure, axes = plt.subplots(figsize=(7.6, 0.34 * len(rows) + 1.3), layout="constrained")
    _draw_margin(axes, verdict["margin"], vertical=True)
    for place, row in enumerate(rows):
        colour, shown = COLOURS.get(row["outcome"], CONTEXT), min(row["difference"], LARGEST_SHOWN)
        differences = _differences(study, row["trial"])[: row["n_seeds"]]
        axes.scatter(
            [d for d in differences if d <= LARGEST_SHOWN], [place] * sum(d <= LARGEST_SHOWN for d in differences),
            s=9, color=colour, alpha=0.35, linewidths=0,
        )  # fmt: skip
        if row["outcome"]:
            axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2.5, solid_capstyle="butt")
        marker, fill = ("o", colour) if row["outcome"] else ("D", "white")
        marker = ">" if row["difference"] > LARGEST_SHOWN else marker
        axes.scatter([shown], [place], s=42, marker=marker, zorder=3, color=fill, edgecolors=colour)
        beyond = f"  {row['difference']:+.3f} →" if row["difference"] > LARGEST_SHOWN else ""
        text = f"{row['outcome'] or 'context'}, {row['n_seeds']} seeds{beyond}"
        axes.annotate(text, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=colour)
    n_asked = sum(row["outcome"] is not None for row in rows)
    axes.axhline(n_asked - 0.5, color="#bbbbbb", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [row["control"] for row in rows])
    axes.set(xlabel=f"gain of the nominee in {study['metric']}", ylim=(len(rows) - 0.4, -0.6))
    axes.set_title(f"{study['name']}: the nominee against its controls", loc="left", fontsize=10)
    _save(figure, path)


def draw_looks(study: Mapping[str, Any], path: Path) -> None:
    """Each question at its looks: intervals that narrow, until one is decided."""
    verdict = study["verdict"]
    asked = [q for q in verdict["questions"] if q["asked"] and q["subject"] == "nominee"]
    figure, panels = plt.subplots(1, len(asked), figsize=(2.7 * len(asked), 2.9), sharey=True, layout="constrained")
    for axes, question in zip(panels, asked, strict=True):
        subject, control = _paired(study, question["trial"])
        _draw_margin(axes, verdict["margin"], vertical=False)
        differences = [one - other for one, other in zip(subject, control, strict=True)][: question["n_seeds"]]
        axes.scatter(range(1, len(differences) + 1), differences, s=9, color=CONTEXT, alpha=0.5, linewidths=0)
        asked_from = _asked_from(question, asked)
        for n in (n for n in LOOKS if asked_from <= n <= question["n_seeds"]):
            now = look(subject[:n], control[:n], verdict["margin"])
            axes.plot([n, n], [now.low, now.high], color=COLOURS[now.outcome], linewidth=3, solid_capstyle="butt")
            axes.scatter([n], [now.mean], s=28, color=COLOURS[now.outcome], zorder=3)
        axes.set_title(f"against {question['control']}: {question['outcome']}", fontsize=9, loc="left")
        axes.set(xlabel="fresh seeds", xlim=(0.3, max(12, question["n_seeds"] + 1)))
    panels[0].set(ylabel=f"gain in {study['metric']}", ylim=(-0.1, 0.16))
    _save(figure, path)


def _asked_from(question: Mapping[str, Any], asked: Sequence[Mapping[str, Any]]) -> int:
    """The first look at a question: `uniform` waits until the others are won."""
    others = [q["n_seeds"] for q in asked if q["control"] != "uniform"]
    return max(others, default=0) if question["control"] == "uniform" else 0


def draw_power(simulated: Mapping[str, Any], path: Path) -> None:
    """What a study says of `outputs`, by the true gain, in simulated studies of at most 14 seeds."""
    rows = [r for r in simulated["rows"] if (r["world"], r["metric"]) == ("normal", "a fine metric")]
    figure, axes = plt.subplots(figsize=(6.2, 2.2), layout="constrained")
    for place, row in enumerate(rows):
        shares = {"BEATS": row["beats"], "TIES": row["ties"], "WORSE": row["worse"]}
        shares["INCONCLUSIVE"] = 1 - sum(shares.values())
        left = 0.0
        for outcome in ("BEATS", "TIES", "INCONCLUSIVE", "WORSE"):
            share = shares[outcome]
            axes.barh(place, share, left=left, color=COLOURS[outcome], label=outcome if place == 0 else None)
            if share >= 0.04:
                axes.text(left + share / 2, place, f"{share:.0%}", ha="center", va="center", color="white", fontsize=8)
            left += share
    axes.set_yticks(range(len(rows)), [f"{row['gain']:g}" for row in rows])
    axes.set(xlabel="share of studies", ylabel="true gain\n(seed sd)", xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, fontsize=8, handlelength=1.1)
    _save(figure, path)


def _draw_margin(axes: Axes, margin: float, *, vertical: bool) -> None:
    band, line = (axes.axvspan, axes.axvline) if vertical else (axes.axhspan, axes.axhline)
    band(-margin, margin, color="#e9e4d4", linewidth=0, label="margin")
    line(0, color="#333333", linewidth=0.8)


def _paired(study: Mapping[str, Any], control: int) -> tuple[list[float], list[float]]:
    """Values of nominee and control on the seeds that both have, larger is better."""
    sign = 1.0 if study["direction"] == "maximize" else -1.0
    by_seed = {t["number"]: dict(zip(t["confirmed_seeds"], t["confirmed"], strict=True)) for t in study["trials"]}
    one, other = by_seed[study["verdict"]["nominee"]], by_seed[control]
    seeds = sorted(one.keys() & other.keys())
    return [sign * one[seed] for seed in seeds], [sign * other[seed] for seed in seeds]


def _differences(study: Mapping[str, Any], control: int) -> list[float]:
    return [one - other for one, other in zip(*_paired(study, control), strict=True)]


def _save(figure: Any, path: Path) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.xaxis.label.set_size(9)
        axes.yaxis.label.set_size(9)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    """Record if asked, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", help="a finished study to record")
    parser.add_argument("--storage", default="sqlite:///mapsearch.db", help="its database")
    parser.add_argument("--folder", type=Path, default=Path("docs"), help="where the pictures go")
    parser.add_argument("--quick", action="store_true", help="draw what is recorded, as without it")
    asked = parser.parse_args()
    if asked.study:
        keep(asked.study, asked.storage)
    study, simulated = (json.loads(path.read_text(encoding="utf-8")) for path in (STUDY, SIMULATED))
    draw_questions(study, asked.folder / "verdict-questions.png")
    draw_looks(study, asked.folder / "verdict-looks.png")
    draw_power(simulated, asked.folder / "verdict-power.png")


if __name__ == "__main__":
    main()
