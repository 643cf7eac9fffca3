from mapsearch.display.frames import frame


def test_rows_become_lines_and_keys_columns():
    made = frame([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], ["s", "t"], "layer")
    assert made.loc["t", "a"] == 2
    assert list(made.columns) == ["a", "b"]
    assert made.index.name == "layer"
