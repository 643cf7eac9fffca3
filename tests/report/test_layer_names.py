import pytest

from mapsearch.report.layer_names import shorten


@pytest.mark.parametrize(
    ("names", "pattern", "labels"),
    [
        (["encoder.layer.0.output", "encoder.layer.11.output"], "encoder.layer.*.output", ("0", "11")),
        (["blocks.10", "blocks.11", "blocks.1"], "blocks.*", ("10", "11", "1")),
        (["layer1.0", "layer1.1", "layer2.0"], "layer*", ("1.0", "1.1", "2.0")),
        (["stem", "blocks.0"], "*", ("stem", "blocks.0")),
        (["a", "a.0", "a.0.a"], "*", ("a", "a.0", "a.0.a")),
        (["0", "1"], "*", ("0", "1")),
        (["x.1.1", "x.1.1.1"], "x.1.*", ("1", "1.1")),
        (["only.one"], "*", ("only.one",)),
    ],
)
def test_what_all_names_share_is_said_once(names, pattern, labels):
    assert shorten(names)[1] == labels
    assert shorten(names)[0] == pattern
    assert [pattern.replace("*", label) for label in labels] == names


def test_control_characters_are_written_out():
    assert shorten(["a\n.0", "a\n.1"]) == (r"a\n.*", ("0", "1"))
    assert shorten(["\x1b[2J"]) == ("*", (r"\x1b[2J",))
