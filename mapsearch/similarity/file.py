"""The file of a similarity, as `mapsearch similarity --json` writes it -> a `Similarity`."""

import json
from dataclasses import fields
from math import isfinite
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mapsearch.core.errors import SimilarityError, did_you_mean
from mapsearch.core.similarity import Similarity


def read_similarity(path: Path | str) -> Similarity:
    """The similarity of a file that `mapsearch similarity --json` wrote.

    Raises:
        SimilarityError: the file cannot be read, or holds no similarity.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SimilarityError(f"{path}: cannot be read: {error.strerror}; `--json` writes such a file") from None
    except RecursionError:
        raise SimilarityError(f"{path}: not valid JSON: nested too deeply; give a file that `--json` wrote") from None
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
        similarity = TypeAdapter(Similarity).validate_python(data)
    except ValidationError as invalid:
        error = invalid.errors()[0]
        place = ".".join(map(str, error["loc"]))
        return f"`{place}` is missing" if error["type"] == "missing" else f"`{place}`: {error['msg'].lower()}"
    return _shape_problem(similarity)


def _shape_problem(similarity: Similarity) -> str:
    names = {"student_layers": similarity.student_layers, "teacher_layers": similarity.teacher_layers}
    for key, layers in names.items():
        if not layers or len(set(layers)) < len(layers):
            return f"`{key}` must be names, each once"
    if not isfinite(similarity.noise_floor) or not isfinite(similarity.spread_floor):
        return "`noise_floor` and `spread_floor` must be finite numbers"
    shape = [len(similarity.teacher_layers)] * len(similarity.student_layers)
    for key, matrix in {"values": similarity.values, "standard_errors": similarity.standard_errors}.items():
        if matrix is None:
            continue
        if [len(row) for row in matrix] != shape:
            return f"`{key}` must have {len(shape)} rows of {shape[0]} numbers, one per layer"
        if not all(isfinite(value) for row in matrix for value in row):
            return f"`{key}` must be finite numbers"
    return ""
