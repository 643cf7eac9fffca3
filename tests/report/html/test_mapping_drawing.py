"""The drawing of a mapping: thickness is weight, nothing overflows its row, nothing is left out of the table."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.core.mapping import LayerMapping
from mapsearch.report.html.mapping_drawing import draw_mapping


def names(kind, n):
    return [f"{kind}.{i}" for i in range(n)]


def test_thickness_is_weight():
    mapping = LayerMapping([("s.0", "t.0", 3.0), ("s.1", "t.1", 1.0)])
    one, other = draw_mapping(mapping, names("s", 2), names("t", 2)).links
    assert one.width == pytest.approx(3 * other.width, abs=0.2)
    assert "75 %" in one.says


def test_links_end_inside_their_rows_and_in_the_order_of_the_layers():
    mapping = LayerMapping([("s.0", f"t.{t}", 1.0) for t in range(4)] + [("s.1", "t.3", 2.0)])
    drawn = draw_mapping(mapping, names("s", 2), names("t", 6))
    first = sorted((link for link in drawn.links if link.s == 0), key=lambda link: link.y_teacher)
    assert [link.y_student for link in first] == sorted(link.y_student for link in first)
    row = drawn.height / 2
    assert all(row * link.s < link.y_student < row * (link.s + 1) for link in drawn.links)


def test_rows_say_where_they_learn_from():
    mapping = LayerMapping(
        [("s.0", "t.0", 1.0), ("s.1", "t.0", 1.0), ("s.1", "t.1", 3.0), *(("s.2", f"t.{t}", 1.0) for t in range(6))]
    )
    says = [row.says for row in draw_mapping(mapping, names("s", 4), names("t", 6)).students]
    assert says == ["from 0", "from 0 (25 %), 1 (75 %)", "from 6 layers, equally", "no teacher"]


def test_layers_that_are_no_longer_mappable_are_drawn_all_the_same():
    drawn = draw_mapping(LayerMapping([("s.9", "t.9", 1.0)]), names("s", 2), names("t", 2))
    assert [row.path for row in drawn.students] == ["s.0", "s.1", "s.9"]
    assert [row.used for row in drawn.teachers] == [False, False, True]


def test_of_many_unused_layers_every_sixth_is_named():
    drawn = draw_mapping(LayerMapping([("s.0", "t.7", 1.0)]), names("s", 12), names("t", 48))
    assert drawn.dense
    assert [t for t, row in enumerate(drawn.teachers) if row.tick] == [0, 6, 7, 12, 18, 24, 30, 36, 42]


@given(
    st.dictionaries(st.tuples(st.integers(0, 23), st.integers(0, 47)), st.floats(0.01, 1.0), min_size=1, max_size=200)
)
def test_the_table_has_every_pair_and_no_row_overflows(weights):
    mapping = LayerMapping([(f"s.{s}", f"t.{t}", weight) for (s, t), weight in weights.items()])
    drawn = draw_mapping(mapping, names("s", 24), names("t", 48))
    assert len(drawn.rows) == len(weights)
    assert sum(pair.weight for pair, _ in drawn.rows) == pytest.approx(1.0)
    widths = defaultdict(float)
    for link in drawn.links:
        widths[link.s] += link.width
        assert 0 < link.y_teacher < drawn.height
        assert 0 < link.y_student < drawn.height
    assert max(widths.values()) <= drawn.height / 24 + 0.1 * len(weights)
