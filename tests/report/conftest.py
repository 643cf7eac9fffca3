"""Similarities of any size: a band along the diagonal over values that are noise."""

from io import StringIO
from math import exp

import pytest
from rich.console import Console

from mapsearch.core.similarity import Similarity


@pytest.fixture
def similarity():
    """`similarity(S, T, ...)` -> values near 0.9 where depths agree; with `height=0` all of them lie in the noise."""

    def make(S, T, height=0.9, errors=0.01, student="layers.{}", teacher="encoder.layer.{}.output", **fields):
        def value(s, t):
            return height * exp(-30 * ((s + 0.5) / S - (t + 0.5) / T) ** 2) + 0.02 * ((7 * s + 3 * t) % 5 - 2) / 2

        given = {
            "student_layers": tuple(student.format(s) for s in range(S)),
            "teacher_layers": tuple(teacher.format(t) for t in range(T)),
            "values": tuple(tuple(value(s, t) for t in range(T)) for s in range(S)),
            "noise_floor": 0.06,
            "measure": "cka",
            "n_samples": 2048,
            "features": "tokens averaged",
            "spread_floor": 0.05,
            "standard_errors": ((errors,) * T,) * S if errors else None,
            "estimator": "debiased",
            "digest": "3fa9c01b22de",
        }
        return Similarity(**{**given, **fields})

    return make


@pytest.fixture
def printed():
    """`printed(table, width)` -> its text where there are no colours: a pipe, or with `terminal=True` a screen."""

    def text(table, width, **options):
        console = Console(width=width, file=StringIO(), **options)
        console.print(table)
        return console.file.getvalue()

    return text
