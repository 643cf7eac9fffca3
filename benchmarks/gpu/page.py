"""The record of a GPU as a page: one table per part."""

from typing import Any

MEANING = {
    "tests": "The tests marked `cuda`.",
    "memory": "Peak memory of a cohort (`torch.cuda.max_memory_allocated`) beside the forecast of `check`, in MiB; "
    "the cache of teacher outputs likewise.",
    "cohort modes": "Milliseconds per student and step, K students on one batch of 64, task loss alone, float32.",
    "similarity": "Similarity of all layers over forward passes of both networks alone; medians, wall time.",
    "throughput": "Seconds per trial (wall) and ratios of trials per hour, as in the throughput benchmark.",
    "replays": "Seconds per trial (wall) of a cohort whose steps are replayed as CUDA graphs (cached), of the same "
    "launched from Python (launched), of the plain loop and of the students alone (limit); ratios of trials per hour.",
}


def page(record: dict[str, Any]) -> str:
    """The page in Markdown."""
    about = record["about"]
    lines = [f"# On a GPU, {about['date']}", "", *(f"- {key}: {value}" for key, value in about.items())]
    for part, entry in record["parts"].items():
        lines += [
            "",
            f"## {part.capitalize()}",
            "",
            f"{MEANING[part]} Part {entry['ended']}, {entry['seconds']} s.",
            "",
        ]
        lines += table(entry["rows"])
    return "\n".join(lines) + "\n"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Rows as a Markdown table; a row may lack columns of others."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if not columns:
        return ["Nothing was measured."]
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    return lines + [f"| {' | '.join(cell(row.get(column, '')) for column in columns)} |" for row in rows]


def cell(value: Any) -> str:
    """A value as a cell; of throughput's pairs of clocks the wall's."""
    if isinstance(value, dict):
        value = value.get("wall", value)
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "/").replace("\n", " ")
