"""When a study has failed, and why: the causes of its failed runs, equal ones grouped."""

from collections.abc import Sequence

from mapsearch.core.errors import StudyFailed
from mapsearch.core.failures import kind_of_error
from mapsearch.core.runs import Run

N_CAUSES = 3
"""Number of causes that a message names, the most frequent first."""


def raise_if_nothing_came_through(runs: Sequence[Run]) -> None:
    """Make sure that of these runs, all of one stage, at least one is complete.

    Raises:
        StudyFailed: there are runs and none is complete; the message groups their causes.
    """
    if runs and all(run.state != "complete" for run in runs):
        raise StudyFailed(
            f"stage {runs[-1].stage}: none of the {len(runs)} runs succeeded: {causes(runs)}; "
            "fix the cause and run the same command again to retry them"
        )


def raise_if_all_crashed(runs: Sequence[Run], at_least: int) -> None:
    """Make sure early that a stage is worth going on with: crashes come from the task's code, not from a recipe.

    Raises:
        StudyFailed: at least so many runs have ended, and every one of them crashed.
    """
    if len(runs) >= at_least and all(run.state == "crashed" for run in runs):
        raise_if_nothing_came_through(runs)


def causes(runs: Sequence[Run]) -> str:
    """States and errors of runs that did not come through; errors that differ only in numbers count as one."""
    groups: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        error = run.result.error if run.result else ""
        groups.setdefault((run.state, kind_of_error(error)), []).append(error)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    told = [f"{len(errors)} {state}: {errors[0]}" for (state, _), errors in ordered[:N_CAUSES]]
    n_left = sum(len(errors) for _, errors in ordered[N_CAUSES:])
    return "; ".join([*told, f"{n_left} for other reasons"] if n_left else told)
