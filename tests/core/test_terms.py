import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.terms import pair_terms, row_terms

MAPPING = LayerMapping((Pair("s.1", "t.3", 2.0), Pair("s.0", "t.10", 1.0), Pair("s.0", "t.2", 3.0)))
MAPPINGS = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 12)), st.floats(1e-3, 1e3), min_size=1, max_size=12
).map(lambda pairs: LayerMapping(tuple(Pair(f"s.{s}", f"t.{t}", weight) for (s, t), weight in pairs.items())))


def test_a_term_per_pair_has_the_pairs_weight():
    terms = pair_terms(MAPPING)
    assert [term.name for term in terms] == ["s.0 <- t.2", "s.0 <- t.10", "s.1 <- t.3"]
    assert [term.weight for term in terms] == pytest.approx([3 / 6, 1 / 6, 2 / 6])
    assert {term.parts for term in terms} == {(1.0,)}


def test_a_term_per_row_has_the_rows_weight_and_its_parts():
    first, last = row_terms(MAPPING)
    assert (first.name, last.name) == ("s.0 <- t.2 + t.10", "s.1 <- t.3")
    assert (first.weight, last.weight) == pytest.approx((4 / 6, 2 / 6))
    assert first.parts == pytest.approx((0.75, 0.25))


@given(MAPPINGS)
def test_rows_hold_the_pairs_in_their_order_and_all_weights_sum_to_one(mapping):
    terms = row_terms(mapping)
    pairs = mapping.normalised().pairs
    assert [(term.student, teacher) for term in terms for teacher in term.teachers] == [pair[:2] for pair in pairs]
    assert [term.weight * part for term in terms for part in term.parts] == pytest.approx([p.weight for p in pairs])
    assert sum(term.weight for term in terms) == pytest.approx(1)
    assert all(sum(term.parts) == pytest.approx(1) for term in terms)


def test_no_pairs_are_no_terms():
    assert pair_terms(LayerMapping()) == row_terms(LayerMapping()) == ()
