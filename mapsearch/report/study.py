"""What people and machines read of a study and its networks: JSON, tables, sentences."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from rich.table import Table
from rich.text import Text

from mapsearch.core.layers import Layer
from mapsearch.core.runs import Run
from mapsearch.core.studies import Study
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Noise, Verdict
from mapsearch.report.cell_text import cell_text

SHOWN_TRIALS = 8


def study_json(study: Study, trials: Sequence[Trial], runs: Sequence[Run]) -> dict[str, Any]:
    """All that `show --json` prints."""
    overhead, confirmed = overheads(trials, runs), confirmed_values(runs)
    verdict = study.facts.get("verdict")
    n_full = study.spec["train"]["steps"]
    return {
        "name": study.name,
        "state": study.state,
        "metric": study.spec["metric"],
        "direction": study.spec["direction"],
        "n_trials": len(trials),
        "n_runs": len(runs),
        "teacher": study.facts.get("teacher"),
        "verdict": verdict,
        "trials": [
            {**_trial_json(trial, runs), "confirmed": confirmed[trial.number], "overhead": overhead.get(trial.number)}
            for trial in trials
        ],
        "cost": {
            "device_seconds": sum(run.result.seconds for run in runs if run.result),
            "full_run_equivalents": sum(run.n_steps for run in runs if run.state == "complete") / n_full,
        },
    }


def overheads(trials: Sequence[Trial], runs: Sequence[Run]) -> dict[int, float]:
    """Training time of each trial over that of the control `logits`: the median over runs of the same rung and seed."""
    logits = next((trial.number for trial in trials if trial.control == "logits"), None)
    seconds = {run.key: run.result.seconds for run in runs if run.state == "complete" and run.result}
    ratios: dict[int, list[float]] = {}
    for (trial, rung, seed), value in seconds.items():
        reference = seconds.get((logits, rung, seed), 0.0) if logits is not None else 0.0
        if reference > 0:
            ratios.setdefault(trial, []).append(value / reference)
    return {trial: median(values) for trial, values in ratios.items()}


def confirmed_values(runs: Sequence[Run]) -> dict[int, list[float]]:
    """What each trial measured on the seeds of the confirm stage, in their order; empty for one that is not in it."""
    found: dict[int, list[float]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: run.seed):
        if run.stage == "confirm" and run.value is not None:
            found[run.trial].append(run.value)
    return found


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


def trials_table(trials: Sequence[Trial], runs: Sequence[Run], metric: str, direction: str) -> Table:
    """The best recipes of the search, the controls below them."""
    arrow, sign = ("↑", -1.0) if direction == "maximize" else ("↓", 1.0)
    overhead, confirmed = overheads(trials, runs), confirmed_values(runs)
    table = Table(title="recipes: best proposals first, then the controls", title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("from")
    table.add_column(cell_text(f"search {metric} {arrow}"), justify="right")
    table.add_column(cell_text(f"confirmed {metric} {arrow} (n)"), justify="right")
    table.add_column("time vs logits", justify="right")
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
            _recipe_text(trial, runs),
        )
    return table


def _recipe_text(trial: Trial, runs: Sequence[Run]) -> Text:
    """The recipe, and on a line of its own the first thing that went wrong."""
    kind = "note" if trial.state == "complete" else trial.state
    troubled = [cell_text(f"{kind}: {text}") for text in troubles(trial, runs)[:1]]
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


def studies_table(studies: Sequence[Study]) -> Table:
    """One line per study."""
    table = Table()
    for name in ("study", "state"):
        table.add_column(name)
    for name in ("trials", "runs done of queued"):
        table.add_column(name, justify="right")
    table.add_column("verdict", overflow="fold")
    for study in studies:
        verdict = (study.facts.get("verdict") or {}).get("sentence", "-")
        done = f"{study.n_complete}/{study.n_runs}"
        table.add_row(cell_text(study.name), study.state, str(study.n_trials), done, cell_text(verdict))
    return table


def study_summary(study: Study) -> dict[str, Any]:
    """One study of `studies --json`."""
    verdict = study.facts.get("verdict")
    return {
        "name": study.name,
        "state": study.state,
        "n_trials": study.n_trials,
        "n_runs": study.n_runs,
        "n_complete": study.n_complete,
        "created_at": study.created_at,
        "updated_at": study.updated_at,
        "verdict": verdict["sentence"] if verdict else None,
    }


def troubles(trial: Trial, runs: Sequence[Run]) -> list[str]:
    """What went wrong in a trial's runs, and the terms that teach next to nothing or drown the rest; each once."""
    results = [run.result for run in runs if run.trial == trial.number and run.result]
    return list(dict.fromkeys(text for result in results for text in (result.error, *result.notes) if text))


def mixed_weights(trial: Trial, runs: Sequence[Run]) -> list[float] | None:
    """What `mix` has learned, in the order of `recipe.pairs`: the mean over the longest complete runs; else None."""
    complete = [run for run in runs if run.trial == trial.number and run.state == "complete"]
    longest = max((run.n_steps for run in complete), default=0)
    learned = [run.result.mixed_weights for run in complete if run.result and run.n_steps == longest]
    if not any(learned):
        return None
    return [fmean(column) for column in zip(*learned, strict=True)]


def _trial_json(trial: Trial, runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "number": trial.number,
        "proposer": trial.proposer,
        "control": trial.control or None,
        "state": trial.state,
        "value": trial.value,
        "recipe": trial.recipe.to_json(),
        "mixed_weights": mixed_weights(trial, runs),
        "params": trial.params,
        "troubles": troubles(trial, runs),
    }
