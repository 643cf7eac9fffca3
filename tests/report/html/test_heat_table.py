"""A similarity as a table of colours."""

from mapsearch.report.html.heat_table import LEVELS, heat_table


def test_colours_are_fixed_from_0_to_1(similarity):
    values = ((0.0, 0.5), (1.0, -0.2))
    heat = heat_table(similarity(2, 2, values=values, student_layers=("a", "b"), teacher_layers=("c", "d")), ())
    assert [[cell.level for cell in row] for row in heat.rows] == [[0, LEVELS // 2], [LEVELS, 0]]


def test_cells_are_marked(similarity):
    heat = heat_table(similarity(2, 3, student="s.{}", teacher="t.{}"), {("s.0", "t.1")})
    assert [[cell.mapped for cell in row] for row in heat.rows] == [[False, True, False], [False] * 3]
    assert sum(cell.best for row in heat.rows for cell in row) == 2
    assert heat.printed
    assert heat.heads == ("t.*", "s.*")


def test_noise_is_counted_in_words(similarity):
    assert "at or below it" in heat_table(similarity(12, 24), ()).summary
    assert "by more than chance" in heat_table(similarity(4, 4, height=0.0), ()).summary
    assert not heat_table(similarity(12, 24), ()).printed
