import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.core.errors import MappingError
from mapsearch.core.mapping import LayerMapping, Pair

NAMES = st.text(max_size=12) | st.from_regex(r"(block|layer)s?\.\d{1,3}(\.mlp)?", fullmatch=True)
WEIGHTS = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
EVERYDAY_WEIGHTS = st.floats(min_value=1e-6, max_value=1e6)


def mappings(weights=WEIGHTS, **size):
    pairs = st.dictionaries(st.tuples(NAMES, NAMES), weights, max_size=8, **size)
    return pairs.map(lambda drawn: LayerMapping(tuple(Pair(s, t, w) for (s, t), w in drawn.items())))


@given(mappings())
def test_json_gives_the_same_mapping_back_to_the_last_bit(mapping):
    back = LayerMapping.from_json(json.loads(json.dumps(mapping.to_json())))
    assert back == mapping
    assert [p.weight.hex() for p in back.pairs] == [p.weight.hex() for p in mapping.pairs]
    assert back.fingerprint == mapping.fingerprint


@given(mappings(), st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_says_nothing(mapping, random):
    shuffled = LayerMapping(tuple(random.sample(mapping.pairs, len(mapping.pairs))))
    assert shuffled == mapping
    assert shuffled.fingerprint == mapping.fingerprint


@given(mappings(), mappings())
def test_fingerprints_are_equal_for_equal_mappings_only(one, other):
    assert (one.fingerprint == other.fingerprint) == (one == other)


@given(mappings(min_size=1), st.data())
def test_the_smallest_change_of_a_weight_changes_the_fingerprint(mapping, data):
    changed = data.draw(st.sampled_from(mapping.pairs))
    weight = math.nextafter(changed.weight, 1.0 if changed.weight != 1.0 else 2.0)
    pairs = tuple(p._replace(weight=weight) if p == changed else p for p in mapping.pairs)
    assert LayerMapping(pairs).fingerprint != mapping.fingerprint


@given(mappings())
def test_the_matrix_is_a_view_of_the_pairs(mapping):
    students, teachers = mapping.student_layers, mapping.teacher_layers
    matrix = mapping.matrix(students, teachers)
    assert [len(row) for row in matrix] == [len(teachers)] * len(students)
    assert LayerMapping.from_matrix(matrix, students, teachers) == mapping


@given(mappings(EVERYDAY_WEIGHTS, min_size=1))
def test_normalised_weights_sum_to_one_and_keep_their_ratios(mapping):
    normalised = mapping.normalised()
    assert math.isclose(sum(p.weight for p in normalised.pairs), 1)
    first, before = normalised.pairs[0], mapping.pairs[0]
    for after, given_pair in zip(normalised.pairs, mapping.pairs, strict=True):
        assert math.isclose(after.weight / first.weight, given_pair.weight / before.weight)


def test_names_are_ordered_as_people_count():
    names = ["block.10", "block.9", "block.2.mlp", "block.2", "a²", "stem"]
    mapping = LayerMapping(tuple(Pair("s", name, 1) for name in names))
    assert [p.teacher for p in mapping.pairs] == ["a²", "block.2", "block.2.mlp", "block.9", "block.10", "stem"]
    assert mapping.teacher_layers == tuple(p.teacher for p in mapping.pairs)


@pytest.mark.parametrize("weight", [0, -0.0, -1e-9, math.nan, math.inf, -math.inf])
def test_a_weight_that_is_no_positive_number_is_refused(weight):
    with pytest.raises(MappingError, match=r"`s <- t`.*weight"):
        LayerMapping((Pair("s", "t", weight),))


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_a_matrix_with_such_a_weight_is_refused(weight):
    with pytest.raises(MappingError, match=r"pair `s <- t2`"):
        LayerMapping.from_matrix([[1.0, weight]], ["s"], ["t1", "t2"])


@pytest.mark.parametrize("matrix", [[[1.0]], [[1.0, 2.0], [1.0, 2.0]], []])
def test_a_matrix_of_another_shape_is_refused(matrix):
    with pytest.raises(MappingError, match=r"S = 1 and T = 2"):
        LayerMapping.from_matrix(matrix, ["s"], ["t1", "t2"])


def test_a_pair_given_twice_is_refused_with_all_other_problems():
    with pytest.raises(MappingError, match=r"`s <- u`.*\n.*`s <- t` .*2 times"):
        LayerMapping((Pair("s", "t", 1), Pair("s", "t", 2), Pair("s", "u", -1)))


@pytest.mark.parametrize("pair", [{"student": "s"}, {"student": "s", "teacher": "t", "wait": 1.0}, ["s", "t", 1.0]])
def test_a_pair_with_other_keys_is_refused(pair):
    with pytest.raises(MappingError, match="student, teacher, weight"):
        LayerMapping.from_json([pair])


def test_a_mapping_reads_as_rows_with_relative_weights():
    mapping = LayerMapping((Pair("b.1", "t.5", 1), Pair("b.0", "t.2", 0.5), Pair("b.0", "t.1", 2)))
    assert str(mapping) == "b.0 <- t.1 (57 %) + t.2 (14 %) | b.1 <- t.5 (29 %)"
    assert str(LayerMapping()) == "no features"


def test_a_notebook_shows_parts_of_the_whole_and_escapes_names():
    shown = LayerMapping((("<s>", "t", 3.0), ("s2", "t", 1.0)))._repr_html_()
    assert "&lt;s&gt;" in shown
    assert "75 %" in shown
    assert "no features" in LayerMapping()._repr_html_()
    assert list(LayerMapping((("s", "t", 3.0),)).to_frame().iloc[0]) == ["s", "t", 3.0]
