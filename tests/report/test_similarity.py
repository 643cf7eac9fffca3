import csv
import io

import pytest

from mapsearch.core.similarity import Similarity
from mapsearch.report.similarity import similarity_csv, similarity_lines, similarity_sentence


def test_few_pairs_are_all_said_with_their_errors(similarity):
    assert similarity_sentence(similarity(2, 2, values=((0.9, 0.2), (0.1, 0.7)))) == (
        "most alike: layers.0 ~ encoder.layer.0.output (0.90 ± 0.01), layers.1 ~ encoder.layer.1.output (0.70 ± 0.01); "
        "noise floor 0.060, 2048 samples"
    )


def test_of_many_pairs_the_three_most_certain_are_said(similarity):
    row = [0.1] * 9
    values = [[*row[:s], 0.5, *row[s + 1 :]] for s in range(9)]
    for s, best in ((7, 0.9), (2, 0.8), (4, 0.7)):
        values[s][s] = best
    sentence = similarity_sentence(similarity(9, 9, values=tuple(map(tuple, values))))
    places = [sentence.index(f"layers.{s} ~") for s in (7, 2, 4)]
    assert sentence.startswith("most certain: ")
    assert places == sorted(places)
    assert sentence.count("~") == 3
    assert "(6 more: `--json` has all)" in sentence


def test_certain_means_far_ahead_of_the_second_in_standard_errors(similarity):
    values = [[0.9, 0.1], *[[0.6, 0.1]] * 7]
    errors = [[0.4, 0.4], *[[0.01, 0.01]] * 7]
    sentence = similarity_sentence(
        similarity(8, 2, values=tuple(map(tuple, values)), standard_errors=tuple(map(tuple, errors)))
    )
    assert "layers.0" not in sentence.split("noise")[0].split("stands")[0].split(" more")[0]


def test_a_row_that_tells_nothing_is_named_as_such(similarity):
    sentence = similarity_sentence(similarity(2, 2, values=((0.9, 0.2), (0.5, 0.51))))
    assert "stands out for layers.1;" in sentence
    assert "layers.1 ~" not in sentence


def test_a_flat_map_ranks_nothing(similarity):
    assert "cannot rank layers" in similarity_sentence(similarity(3, 4, height=0))


def test_how_sure_it_is_stands_above_what_it_says(similarity):
    lines = similarity_lines(similarity(2, 3, notes=("one", "two")))
    assert all(part in lines[0] for part in ("2048 samples", "3fa9c01b22de", "debiased"))
    assert "tokens averaged" in lines[1]
    assert all(part in lines[2] for part in ("noise floor 0.060", "standard error 0.010 (median), 0.010"))
    assert lines[3:5] == ["note: one", "note: two"]
    assert lines[5].startswith("most alike")
    assert "standard errors unknown" in similarity_lines(similarity(2, 3, errors=0))[2]


@pytest.mark.parametrize("errors", [0.01, 0])
def test_csv_has_a_line_per_pair(similarity, errors):
    given = similarity(2, 2, values=((0.9, 0.02), (-0.3, 0.7)), errors=errors, student='a,"{}')
    rows = list(csv.DictReader(io.StringIO(similarity_csv(given))))
    assert list(rows[0]) == ["student", "teacher", "value", "standard_error", "above_noise"]
    assert [(row["student"], row["teacher"]) for row in rows] == [
        (s, t) for s in given.student_layers for t in given.teacher_layers
    ]
    assert [float(row["value"]) for row in rows] == [0.9, 0.02, -0.3, 0.7]
    assert {row["standard_error"] for row in rows} == {"0.01" if errors else ""}
    assert [row["above_noise"] for row in rows] == ["true", "false", "false", "true"]


@pytest.mark.parametrize("name", ["=cmd|'/c calc'!A0", "+1", "-1", "@sum"])
def test_no_name_in_a_csv_is_a_formula(similarity, name):
    rows = list(csv.DictReader(io.StringIO(similarity_csv(similarity(1, 1, student=name, teacher="a\x1b\n")))))
    assert rows[0]["student"] == f"'{name}"
    assert rows[0]["teacher"] == r"a\x1b\n"


def test_without_errors_the_values_are_said_alone_and_a_flat_one_ranks_nothing():
    values = ((0.9, 0.2), (0.02, 0.7))
    assert similarity_sentence(Similarity(("s.0", "s.1"), ("t.0", "t.1"), values, 0.1, "cka", 64, "rows", 0.05)) == (
        "most alike: s.0 ~ t.0 (0.90), s.1 ~ t.1 (0.70); noise floor 0.100, 64 samples"
    )
    flat = Similarity(("s.0",), ("t.0", "t.1"), ((0.05, 0.01),), 0.1, "cka", 64, "rows", 0.05)
    assert "cannot rank layers here" in similarity_sentence(flat)
