from mapsearch.core.mapping import LayerMapping
from mapsearch.report.mapping_text import mapping_lines


def test_a_row_names_its_teachers_with_their_part_of_the_whole():
    mapping = LayerMapping([("blocks.0", "l.1", 1), ("blocks.0", "l.10", 2), ("blocks.11", "l.3", 1)])
    assert mapping_lines(mapping) == ["  `blocks.0`  <- `l.1` 25 % + `l.10` 50 %", "  `blocks.11` <- `l.3` 25 %"]


def test_a_family_of_equal_weights_is_folded():
    mapping = LayerMapping([("b", f"layers.{i}", 1.0) for i in range(12)])
    assert mapping_lines(mapping) == ["  `b` <- `layers.0-11` 100 %"]
    gap = LayerMapping([("b", f"layers.{i}", 1.0) for i in (0, 1, 3)])
    assert "`layers.3` 33 %" in mapping_lines(gap)[0]


def test_names_are_shown_as_text_and_no_mapping_has_no_line():
    assert mapping_lines(LayerMapping([("a\x1b", "b", 1.0)])) == [r"  `a\x1b` <- `b` 100 %"]
    assert mapping_lines(LayerMapping()) == []
