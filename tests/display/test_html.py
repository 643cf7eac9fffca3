from mapsearch.display.html import line, matrix, table


def test_what_comes_from_outside_is_escaped():
    shown = table(("<b>",), [("<script>",)], "a & b") + line("<i>") + matrix([[0.5]], ["<s>"], ["<t>"], "<c>")
    assert "<script>" not in shown
    assert all(
        part in shown for part in ("&lt;script&gt;", "&lt;b&gt;", "a &amp; b", "&lt;i&gt;", "&lt;s&gt;", "&lt;t&gt;")
    )


def test_colours_are_fixed_from_zero_to_one():
    shown = matrix([[-0.2, 0.0, 1.0, 1.3]], ["s"], ["a", "b", "c", "d"], "")
    assert shown.count("rgb(68,1,84);color:white") == 2
    assert shown.count("rgb(253,231,37);color:black") == 2
