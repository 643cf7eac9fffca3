"""STEP: two similarities of the same layers -> their comparison."""

from collections.abc import Sequence
from math import hypot
from statistics import correlation

from mapsearch.core.comparison import BestTeacher, CellChange, Comparison
from mapsearch.core.errors import SimilarityError
from mapsearch.core.similarity import Similarity


def compare_similarities(before: Similarity, after: Similarity) -> Comparison:
    """Hold two similarities of the same layers against each other: before and after training, or two measures.

    Raises:
        SimilarityError: their layers differ.

    Example:
        comparison = mapsearch.compare_similarities(before, after)
        print(comparison.rank_correlation, comparison.largest.student)
    """
    _require_same_layers("student", before.student_layers, after.student_layers)
    _require_same_layers("teacher", before.teacher_layers, after.teacher_layers)
    cells = [
        CellChange(student, teacher, before.values[s][t], after.values[s][t])
        for s, student in enumerate(before.student_layers)
        for t, teacher in enumerate(before.teacher_layers)
    ]
    largest = max(cells, key=lambda cell: abs(cell.difference))
    best = tuple(_best(before, after, s) for s in range(len(before.values)))
    same = before.digest == after.digest if before.digest and after.digest else None
    rho = _spearman([cell.before for cell in cells], [cell.after for cell in cells])
    return Comparison(before, after, rho, largest, best, same, tuple(_notes(before, after, same)))


def _require_same_layers(network: str, before: Sequence[str], after: Sequence[str]) -> None:
    if before == after:
        return
    lost, new = ([x for x in a if x not in b] for a, b in ((before, after), (after, before)))
    differences = [
        f"only the {which} has {_names(names)}" for which, names in (("first", lost), ("second", new)) if names
    ]
    difference = " and ".join(differences) or "their order differs"
    raise SimilarityError(f"comparison: both similarities must have the same {network} layers, but {difference}")


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _best(before: Similarity, after: Similarity, s: int) -> BestTeacher:
    old, new = (x.values[s].index(max(x.values[s])) for x in (before, after))
    certain = None
    if old != new and before.standard_errors and after.standard_errors:
        certain = _leads(before, s, old, new) and _leads(after, s, new, old)
    return BestTeacher(before.student_layers[s], before.teacher_layers[old], before.teacher_layers[new], certain)


def _leads(similarity: Similarity, s: int, first: int, second: int) -> bool:
    """Whether one teacher layer is more alike than another beyond their errors, counted as if independent."""
    assert similarity.standard_errors
    row, errors = similarity.values[s], similarity.standard_errors[s]
    return row[first] - row[second] > 1.96 * hypot(errors[first], errors[second])


def _spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's correlation of the ranks, ties at their mean rank (Spearman 1904)."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return correlation(_ranks(first), _ranks(second))


def _ranks(values: Sequence[float]) -> list[float]:
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(values)):
        places.setdefault(value, []).append(place)
    return [sum(places[value]) / len(places[value]) for value in values]


def _notes(before: Similarity, after: Similarity, same_samples: bool | None) -> list[str]:
    """What makes two similarities hard to compare."""
    notes = []
    if before.measure != after.measure:
        notes.append(f"two measures, {before.measure} and {after.measure}: compare their ranks, not their values")
    for what in ("estimator", "features", "n_samples"):
        values = getattr(before, what), getattr(after, what)
        if values[0] != values[1]:
            notes.append(f"`{what}` differs: {values[0] or 'unknown'}; {values[1] or 'unknown'}")
    if not same_samples:
        notes.append(
            "not known whether both saw the same samples" if same_samples is None else "they saw different samples"
        )
    flat = [name for name, similarity in (("first", before), ("second", after)) if similarity.is_flat]
    return [*notes, *(f"the {name} cannot rank layers: its best teachers are chance" for name in flat)]
