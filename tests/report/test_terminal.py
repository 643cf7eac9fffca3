import re

import pytest

from mapsearch.report.terminal import similarity_table


def widths(text):
    return max(map(len, text.splitlines()))


def test_numbers_where_they_fit(similarity, printed):
    text = printed(similarity_table(similarity(6, 12)), 200)
    assert text.count("│") == 6 * 14
    assert "[0.87]*" in text
    assert "(-0.02)" in text
    assert text.splitlines()[0] == ("linear CKA: student rows `layers.*`, teacher columns `encoder.layer.*.output`")


def test_80_columns_hold_6_x_12_numbers(similarity, printed):
    text = printed(similarity_table(similarity(6, 12)), 80)
    assert widths(text) <= 80
    assert len(re.findall(r"\d\.\d\d#", text)) == 6
    assert text.splitlines()[1].split() == [str(t) for t in range(12)]


@pytest.mark.parametrize("width", [80, 200])
def test_48_columns_are_a_cell_each(similarity, printed, width):
    text = printed(similarity_table(similarity(12, 48, errors=0)), width)
    rows = [line for line in text.splitlines() if re.match(r" ?\d+ [\d.]", line)]
    assert widths(text) <= width
    assert text.isascii()
    assert len(rows) == (24 if width == 80 else 12), "two blocks where one does not fit"
    cells = "".join(row[3:] for row in rows)
    assert cells.count("#") + cells.count("+") == 12, "one assigned teacher in each row"
    assert "9#" in cells
    assert ". noise" in text


def test_a_screen_without_colours_has_shades(similarity, printed):
    text = printed(similarity_table(similarity(12, 48)), 80, force_terminal=True, no_color=True)
    assert "░" in text
    assert "█◆" in text
    assert "38;2" not in text
    assert "48;2" not in text


def test_a_screen_with_colours_takes_a_letter_per_cell(similarity, printed):
    text = printed(similarity_table(similarity(12, 48)), 80, force_terminal=True, color_system="truecolor")
    plain = re.sub(r"\x1b\[[\d;]*m", "", text)
    assert "48;2;253;231,37".replace(",", ";") in text, "the largest value is viridis' yellow"
    assert widths(plain) <= 80
    assert len([line for line in plain.splitlines() if re.match(r" ?\d+ ", line)]) == 12
    assert plain.count("◆") + plain.count("◇") == 12 + 2, "and the legend"


def test_a_flat_map_has_neither_assignment_nor_best(similarity, printed):
    text = printed(similarity_table(similarity(6, 30, height=0)), 80)
    cells = [line[2:] for line in text.splitlines() if re.match(r"\d [\d.]", line)]
    assert len(cells) == 6
    assert set("".join(cells)) <= {".", " "}


def test_long_names_are_numbered_with_a_key(similarity, printed):
    names = tuple(f"{'abcdefghijklmnopqrstuvwxyz'[t]}_block" for t in range(26))
    text = printed(similarity_table(similarity(4, 26, teacher_layers=names)), 80)
    assert "columns: 0 = a_block, 1 = b_block" in text
    assert "25 = z_block" in " ".join(text.split())
    assert widths(text) <= 80


def test_names_are_no_markup(similarity, printed):
    text = printed(similarity_table(similarity(2, 2, student="[red]{}", teacher="x[bold]{}y")), 80)
    assert "`[red]*`" in text
    assert "`x[bold]*y`" in text


def test_values_alike_everywhere(similarity, printed):
    text = printed(similarity_table(similarity(4, 40, values=((0.0,) * 40,) * 4, noise_floor=0.0)), 60)
    assert widths(text) <= 60


def test_values_in_the_noise_are_in_brackets(similarity, printed):
    text = printed(similarity_table(similarity(2, 2, values=((0.9, 0.2), (0.02, 0.7)), errors=0)), 200)
    assert "(0.02)" in text
    assert "0.90" in text
    assert "(0.90)" not in text
