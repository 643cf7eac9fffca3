"""STEP: two similarities of the same layers -> their comparison; the files of similarities are read here too."""

import json
from collections.abc import Sequence
from dataclasses import fields
from math import hypot, isfinite
from pathlib import Path
from statistics import correlation
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mapsearch.core.comparison import BestTeacher, CellChange, Comparison
from mapsearch.core.errors import SimilarityError, did_you_mean
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


def read_similarity(path: Path | str) -> Similarity:
    """The similarity of a file that `mapsearch similarity --json` wrote.

    Raises:
        SimilarityError: the file cannot be read, or holds no similarity.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SimilarityError(f"{path}: cannot be read: {error.strerror}; `--json` writes such a file") from None
    except ValueError as error:
        raise SimilarityError(f"{path}: not valid JSON: {error}; give a file that `--json` wrote") from None
    problem = _problem(data)
    if problem:
        raise SimilarityError(f"{path}: {problem}; give a file that `mapsearch similarity --json` wrote")
    return Similarity.from_json(data)


def _problem(data: Any) -> str:
    """What is wrong with the content of a file, or the empty string."""
    if not isinstance(data, dict):
        return f"a similarity is a mapping of keys to values, but got {type(data).__name__}"
    known = [field.name for field in fields(Similarity)]
    for key in data:
        if key not in known:
            return f"unknown key `{key}`{did_you_mean(key, known)}"
    try:
        found = TypeAdapter(Similarity).validate_python(data)
    except ValidationError as invalid:
        error = invalid.errors()[0]
        place = ".".join(map(str, error["loc"]))
        return f"`{place}` is missing" if error["type"] == "missing" else f"`{place}`: {error['msg'].lower()}"
    return _shape_problem(found)


def _shape_problem(found: Similarity) -> str:
    names = {"student_layers": found.student_layers, "teacher_layers": found.teacher_layers}
    for key, layers in names.items():
        if not layers or len(set(layers)) < len(layers):
            return f"`{key}` must be names, each once"
    if not isfinite(found.noise_floor) or not isfinite(found.spread_floor):
        return "`noise_floor` and `spread_floor` must be finite numbers"
    shape = [len(found.teacher_layers)] * len(found.student_layers)
    for key, matrix in {"values": found.values, "standard_errors": found.standard_errors}.items():
        if matrix is None:
            continue
        if [len(row) for row in matrix] != shape:
            return f"`{key}` must have {len(shape)} rows of {shape[0]} numbers, one per layer"
        if not all(isfinite(value) for row in matrix for value in row):
            return f"`{key}` must be finite numbers"
    return ""


def _require_same_layers(network: str, before: Sequence[str], after: Sequence[str]) -> None:
    if before == after:
        return
    lost, new = ([x for x in a if x not in b] for a, b in ((before, after), (after, before)))
    said = [f"only the {which} has {_names(names)}" for which, names in (("first", lost), ("second", new)) if names]
    given = " and ".join(said) or "they stand in another order"
    raise SimilarityError(f"comparison: both similarities must have the same {network} layers, but {given}")


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
        given = getattr(before, what), getattr(after, what)
        if given[0] != given[1]:
            notes.append(f"`{what}` differs: {given[0] or 'unknown'}; {given[1] or 'unknown'}")
    if not same_samples:
        notes.append(
            "not known whether both saw the same samples" if same_samples is None else "they saw different samples"
        )
    flat = [name for name, similarity in (("first", before), ("second", after)) if similarity.is_flat]
    return [*notes, *(f"the {name} cannot rank layers: its best teachers are chance" for name in flat)]
