"""What machines read of studies: plain data for JSON."""

from dataclasses import asdict
from typing import Any

from mapsearch.core.summaries import StudyOverview, StudySummary, TrialSummary


def study_json(study: StudyOverview) -> dict[str, Any]:
    """All that `show --json` prints."""
    return {
        "name": study.name,
        "state": study.state,
        "metric": study.metric,
        "direction": study.direction,
        "n_trials": study.n_trials,
        "n_runs": study.n_runs,
        "n_complete": study.n_complete,
        "n_expected": study.n_expected,
        "margin": study.verdict.margin if study.verdict else None,
        "budget": {"planned": study.budget, "spent": study.cost.n_steps / study.n_steps},
        "teacher": study.teacher or None,
        "verdict": study.verdict.to_json() if study.verdict else None,
        "trials": [_trial_json(trial) for trial in study.trials],
        "port": study.port.to_json() if study.port else None,
        "failures": [group.to_json() for group in study.failures],
        "note": study.note,
        "cost": {
            "device_seconds": study.cost.device_seconds,
            "full_run_equivalents": study.cost.n_steps / study.n_steps,
        },
    }


def study_summary(study: StudySummary) -> dict[str, Any]:
    """One study of `studies --json`."""
    fields = asdict(study)
    verdict = fields.pop("sentence")
    return {**fields, "verdict": verdict}


def _trial_json(trial: TrialSummary) -> dict[str, Any]:
    return {
        "number": trial.number,
        "proposer": trial.proposer,
        "control": trial.control or None,
        "state": trial.state,
        "value": trial.value,
        "recipe": trial.recipe,
        "mixed_weights": list(trial.mixed_weights) or None,
        "params": trial.params,
        "troubles": list(trial.warnings),
        "confirmed": list(trial.confirmed),
        "confirmed_seeds": list(trial.confirmed_seeds),
        "confirmed_metrics": {
            name: {"mean": mean, "values": list(trial.confirmed_metrics[name])}
            for name, mean in trial.confirmed_means.items()
        },
        "overhead": trial.overhead,
        "overhead_measured": trial.overhead_measured,
    }
