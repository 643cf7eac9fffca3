"""What people and machines read of a study and its networks: JSON, tables, sentences."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean, median
from typing import Any

from rich.table import Table
from rich.text import Text

from mapsearch.core.layers import Layer
from mapsearch.core.studies import Study
from mapsearch.core.summaries import RunSummary, StudyCost, StudySummary
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Noise, Verdict
from mapsearch.report.cell_text import cell_text

SHOWN_TRIALS = 8


def study_json(
    study: Study, trials: Sequence[Trial], runs: Sequence[RunSummary], cost: StudyCost, outputs: int | None
) -> dict[str, Any]:
    """All that `show --json` prints.

    Args:
        trials: all of them or one page.
        runs: those of the trials, and of trial `outputs`, with whose training time theirs is compared.
    """
    by_trial, overhead = runs_by_trial(runs), overheads(runs, outputs)
    return {
        "name": study.name,
        "state": study.state,
        "metric": study.spec["metric"],
        "direction": study.spec["direction"],
        "n_trials": study.n_trials,
        "n_runs": study.n_runs,
        "n_complete": study.n_complete,
        "n_expected": study.n_expected,
        "teacher": dict(study.facts.teacher) or None,
        "verdict": study.facts.verdict.to_json() if study.facts.verdict else None,
        "trials": [_trial_json(trial, by_trial[trial.number], overhead.get(trial.number)) for trial in trials],
        "cost": {
            "device_seconds": cost.device_seconds,
            "full_run_equivalents": cost.n_steps / study.spec["train"]["steps"],
        },
    }


def progress_sentence(study: Study, cost: StudyCost) -> str:
    """How far the study is, and what it took."""
    n_steps = study.spec["train"]["steps"]
    return (
        f"{study.state}: {_progress(study)} runs done, {cost.device_seconds:.0f} device seconds, "
        f"{cost.n_steps / n_steps:.1f} full-run equivalents"
    )


def _progress(study: Study | StudySummary) -> str:
    """Runs done of all that the study will take: runs are planned stage by stage, so that few are known early on."""
    if study.state == "complete" or study.n_expected is None:
        return f"{study.n_complete} of {study.n_runs}"
    return f"{study.n_complete} of about {max(study.n_expected, study.n_runs)}"


def runs_by_trial(runs: Sequence[RunSummary]) -> dict[int, list[RunSummary]]:
    """The runs of each trial, in their order; none for a trial without runs."""
    grouped: dict[int, list[RunSummary]] = defaultdict(list)
    for run in runs:
        grouped[run.trial].append(run)
    return grouped


def _logits(trials: Sequence[Trial]) -> int | None:
    return next((trial.number for trial in trials if trial.control == "outputs"), None)


def overheads(runs: Sequence[RunSummary], outputs: int | None) -> dict[int, float]:
    """Training time of each trial over that of trial `outputs`: the median over runs of the same rung and seed."""
    seconds = {run.key: run.seconds for run in runs if run.state == "complete" and run.seconds is not None}
    ratios: dict[int, list[float]] = {}
    for (trial, rung, seed), value in seconds.items():
        reference = seconds.get((outputs, rung, seed), 0.0) if outputs is not None else 0.0
        if reference > 0:
            ratios.setdefault(trial, []).append(value / reference)
    return {trial: median(values) for trial, values in ratios.items()}


def confirmed_values(runs: Sequence[RunSummary]) -> list[float]:
    """What a trial's runs measured on the seeds of the confirm stage, in their order; empty if it is not in it."""
    confirmed = [run for run in runs if run.stage == "confirm" and run.value is not None]
    return [run.value for run in sorted(confirmed, key=lambda run: run.seed) if run.value is not None]


def noise_sentence(noise: Noise, when_flat: str) -> str:
    """What the noise stage found, and what the user may do about it."""
    found = f"seed sd {noise.seed_sd:.3g}, between mappings on equal seeds {noise.mapping_sd:.3g}"
    if noise.blind:
        return f"{found}: the first rung is too short to tell anything; raise `train.steps` or `search.rungs`"
    if not noise.flat:
        return f"{found}: mappings differ by more than chance"
    advice = "" if when_flat == "stop" else "; `search.when_flat: stop` in the study file would save the search"
    return f"{found}: hand-made mappings cannot be told apart here, the mapping may not matter{advice}"


def verdict_table(verdict: Verdict, metric: str) -> Table:
    """The nominee against each control."""
    table = Table(
        title=cell_text(f"gain of the nominee (trial {verdict.nominee}), {metric}, + is better", "table.title"),
        title_justify="left",
    )
    for name in ("control", "outcome"):
        table.add_column(name)
    for name in ("gain", "95 % interval", "p (adjusted)", "seeds", "trial"):
        table.add_column(name, justify="right")
    for row in verdict.against:
        interval = f"{row.low:+.4f} .. {row.high:+.4f}"
        table.add_row(
            row.control, row.outcome, f"{row.difference:+.4f}", interval, f"{row.p_value:.3f}", str(row.n_seeds),
            str(row.trial),
        )  # fmt: skip
    return table


def trials_table(trials: Sequence[Trial], runs: Sequence[RunSummary], metric: str, direction: str) -> Table:
    """The best recipes of the search, the controls below them."""
    arrow, sign = ("↑", -1.0) if direction == "maximize" else ("↓", 1.0)
    by_trial, overhead = (
        runs_by_trial(runs),
        overheads(runs, _logits(trials)),
    )
    confirmed = {trial.number: confirmed_values(by_trial[trial.number]) for trial in trials}
    table = Table(title="recipes: best proposals first, then the controls", title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("from")
    table.add_column(cell_text(f"search {metric} {arrow}"), justify="right")
    table.add_column(cell_text(f"confirmed {metric} {arrow} (n)"), justify="right")
    table.add_column("time vs outputs", justify="right")
    table.add_column("recipe", overflow="fold")
    proposals = [t for t in trials if t.proposer in ("curve", "free")]
    ranked = sorted(
        (t for t in proposals if t.value is not None), key=lambda t: (not confirmed[t.number], sign * (t.value or 0.0))
    )
    tuned = [] if ranked else [t for t in trials if t.proposer == "tune"]
    for trial in [*tuned, *ranked[:SHOWN_TRIALS], *(t for t in trials if t.control)]:
        values = confirmed[trial.number]
        table.add_row(
            str(trial.number),
            trial.control + (" (matched)" if trial.proposer == "matched" else "") or trial.proposer,
            f"{trial.value:.4f}" if trial.value is not None and trial.proposer != "matched" else "-",
            f"{sum(values) / len(values):.4f} ({len(values)})" if values else "-",
            f"{overhead[trial.number]:.2f}x" if trial.number in overhead else "-",
            _recipe_text(trial, by_trial[trial.number]),
        )
    return table


def _recipe_text(trial: Trial, runs: Sequence[RunSummary]) -> Text:
    """The recipe, and on a line of its own the first thing that went wrong."""
    kind = "note" if trial.state == "complete" else trial.state
    troubled = [cell_text(f"{kind}: {text}") for text in troubles(runs)[:1]]
    return Text("\n").join([cell_text(str(trial.recipe)), *troubled])


def layers_table(network: str, layers: Sequence[Layer]) -> Table:
    """Every layer of a network, usable or not and why."""
    table = Table(
        title=f"{network}: {sum(not x.problem for x in layers)} of {len(layers)} layers can be mapped",
        title_justify="left",
    )
    for name in ("layer", "type", "kind", "shape"):
        table.add_column(name, overflow="fold")
    table.add_column("calls", justify="right")
    table.add_column("usable, or why not", overflow="fold")
    for layer in layers:
        shape = "x".join(map(str, layer.shape))
        table.add_row(
            cell_text(layer.path), cell_text(layer.type), layer.kind or "-", shape or "-", str(layer.calls),
            cell_text(layer.problem or "yes"),
        )  # fmt: skip
    return table


def findings_table(findings: Sequence[tuple[str, str, str]]) -> Table:
    """(level, topic, message) of a check, line by line."""
    table = Table()
    for name in ("", "about", "found"):
        table.add_column(name, overflow="fold")
    for level, what, message in findings:
        table.add_row(level, what, cell_text(message))
    return table


def studies_table(studies: Sequence[StudySummary]) -> Table:
    """One line per study."""
    table = Table()
    for name in ("study", "state"):
        table.add_column(name)
    for name in ("trials", "runs done"):
        table.add_column(name, justify="right")
    table.add_column("verdict", overflow="fold")
    for study in studies:
        sentence = cell_text(study.sentence or "-")
        table.add_row(cell_text(study.name), study.state, str(study.n_trials), _progress(study), sentence)
    return table


def study_summary(study: StudySummary) -> dict[str, Any]:
    """One study of `studies --json`."""
    fields = asdict(study)
    return {**fields, "verdict": fields.pop("sentence")}


def troubles(runs: Sequence[RunSummary]) -> list[str]:
    """What went wrong in a trial's runs, and the terms that teach next to nothing or drown the rest; each once."""
    return list(dict.fromkeys(text for run in runs for text in (run.error, *run.notes) if text))


def mixed_weights(runs: Sequence[RunSummary]) -> list[float] | None:
    """What `mix` has learned in a trial's runs, pair by pair: the mean over the longest ones; else None."""
    complete = [run for run in runs if run.state == "complete"]
    longest = max((run.n_steps for run in complete), default=0)
    learned = [run.mixed_weights for run in complete if run.n_steps == longest]
    if not any(learned):
        return None
    return [fmean(column) for column in zip(*learned, strict=True)]


def _trial_json(trial: Trial, runs: Sequence[RunSummary], overhead: float | None) -> dict[str, Any]:
    return {
        "number": trial.number,
        "proposer": trial.proposer,
        "control": trial.control or None,
        "state": trial.state,
        "value": trial.value,
        "recipe": trial.recipe.to_json(),
        "mixed_weights": mixed_weights(runs),
        "params": trial.params,
        "troubles": troubles(runs),
        "confirmed": confirmed_values(runs),
        "overhead": overhead,
    }
