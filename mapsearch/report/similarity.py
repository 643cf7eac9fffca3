"""A similarity as sentences and as CSV: what it shows, and how certain that is."""

import csv
import io
from math import hypot
from statistics import median

from mapsearch.core.similarity import Similarity
from mapsearch.core.text import printable
from mapsearch.report.annotations import flat, is_informative

MOST_LISTED_PAIRS = 6  # of a longer list, only the three most certain pairs are named


def similarity_sentence(similarity: Similarity) -> str:
    """What the similarity shows, in one sentence."""
    if similarity.is_flat:
        return (
            "similarity cannot rank layers here: no row spreads further than with shuffled samples, "
            f"{similarity.spread_floor:.3f} ({similarity.n_samples} samples)"
        )
    informative = [s for s in range(len(similarity.values)) if is_informative(similarity, s)]
    shown = (
        sorted(informative, key=lambda s: -_certainty(similarity, s))[:3]
        if len(informative) > MOST_LISTED_PAIRS
        else informative
    )
    kind = "most alike" if len(shown) == len(informative) else "most certain"
    pairs = ", ".join(_best_pair(similarity, s) for s in shown)
    others = [name for s, name in enumerate(similarity.student_layers) if s not in informative]
    silent = f"; no teacher layer stands out for {_listed(others)}" if others else ""
    rest = f" ({len(informative) - 3} more: `--json` has all)" if kind == "most certain" else ""
    return f"{kind}: {pairs}{rest}{silent}; noise floor {similarity.noise_floor:.3f}, {similarity.n_samples} samples"


def similarity_details(similarity: Similarity) -> list[str]:
    """What the similarity was measured on and how certain it is: samples, features, errors, floor, notes."""
    estimator = f", {similarity.estimator}" if similarity.estimator else ""
    digest = f", digest {similarity.digest}" if similarity.digest else ""
    return [
        f"{similarity.n_samples} samples{digest}{estimator}",
        f"features: {similarity.features}",
        f"noise floor {similarity.noise_floor:.3f} (95 % of unrelated values); {_error_sentence(similarity)}",
        *(f"note: {note}" for note in similarity.notes),
    ]


def similarity_lines(similarity: Similarity) -> list[str]:
    """How certain it is, and last what it shows."""
    return [*similarity_details(similarity), similarity_sentence(similarity)]


def _error_sentence(similarity: Similarity) -> str:
    """The standard errors of all cells, summarised."""
    if similarity.standard_errors is None:
        return "standard errors unknown"
    errors = flat(similarity.standard_errors)
    s, t = divmod(errors.index(max(errors)), len(similarity.teacher_layers))
    pair = f"{similarity.student_layers[s]} ~ {similarity.teacher_layers[t]}"
    return f"standard error {median(errors):.3f} (median), {max(errors):.3f} (largest, {pair})"


def similarity_csv(similarity: Similarity) -> str:
    """One line per cell: student, teacher, value, standard_error (empty where unknown), above_noise."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["student", "teacher", "value", "standard_error", "above_noise"])
    for s, student in enumerate(similarity.student_layers):
        for t, teacher in enumerate(similarity.teacher_layers):
            value = similarity.values[s][t]
            error = similarity.standard_errors[s][t] if similarity.standard_errors else ""
            above = "true" if value > similarity.noise_floor else "false"
            writer.writerow([_csv_name(student), _csv_name(teacher), value, error, above])
    return text.getvalue()


def _csv_name(name: str) -> str:
    """A name that a spreadsheet takes for text, not for a formula."""
    return f"'{printable(name)}" if name.startswith(("=", "+", "-", "@")) else printable(name)


def _best_pair(similarity: Similarity, s: int) -> str:
    row = similarity.values[s]
    t = row.index(max(row))
    error = f" ± {similarity.standard_errors[s][t]:.2g}" if similarity.standard_errors else ""
    return f"{similarity.student_layers[s]} ~ {similarity.teacher_layers[t]} ({row[t]:.2f}{error})"


def _certainty(similarity: Similarity, s: int) -> float:
    """How far the best teacher layer is ahead of the second, in joint standard errors where they are known."""
    row = similarity.values[s]
    second, best = sorted(range(len(row)), key=lambda t: row[t])[-2:]
    lead = row[best] - row[second]
    if similarity.standard_errors is None:
        return lead
    errors = similarity.standard_errors[s]
    return lead / max(hypot(errors[best], errors[second]), 1e-12)


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} student layers"
