import re
from xml.etree import ElementTree

import pytest

from mapsearch.core.errors import MapsearchError
from mapsearch.report.pictures import plot_comparison, plot_similarity
from mapsearch.similarity.comparison import compare_similarities


@pytest.fixture
def drawn(tmp_path):
    """`drawn(noun)` -> the SVG: its texts, and the drawings of every named group."""

    def draw(noun, plot=plot_similarity):
        plot(noun, tmp_path / "x.svg")
        root = ElementTree.parse(tmp_path / "x.svg").getroot()
        texts = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
        groups = {
            node.get("id"): len(re.findall(r"<[^>]*(?:use|path)\b", ElementTree.tostring(node, "unicode")))
            for node in root.iter("{http://www.w3.org/2000/svg}g")
        }
        return texts, groups

    return draw


@pytest.mark.parametrize(("S", "T"), [(2, 3), (12, 48), (48, 6)])
def test_text_stays_text_with_all_names_and_the_floor(similarity, drawn, S, T):
    texts, _ = drawn(similarity(S, T, notes=("the student is untrained",)))
    assert texts.count("0") == 2
    assert {str(i) for i in range(max(S, T))} <= set(texts)
    assert "teacher layer  encoder.layer.*.output" in texts
    assert "0.060 noise floor" in texts
    assert "linear CKA of student and teacher layers" in texts
    small = " ".join(texts)
    for part in ("2048 samples", "3fa9c01b22de", "tokens averaged", "the student is untrained"):
        assert part in small


def test_the_assignment_is_outlined_and_the_best_are_dotted(similarity, drawn):
    _, groups = drawn(similarity(3, 6))
    assert groups["assignment"] == 2 * 3, "white under black"
    assert groups["noise-floor"] == 1
    assert groups["best"] >= 3
    assert groups["noise"] >= 1


def test_numbers_stand_only_where_they_can_be_read(similarity, drawn):
    assert "0.87" in drawn(similarity(6, 12))[0]
    assert not any(re.fullmatch(r"-?\d\.\d\d", text) for text in drawn(similarity(12, 48))[0])


def test_a_flat_map_says_so_and_points_nothing_out(similarity, drawn):
    texts, groups = drawn(similarity(3, 6, height=0))
    assert any("cannot rank layers" in text for text in texts)
    assert groups.get("assignment", 0) == 0
    assert "best one-to-one assignment" not in texts


@pytest.mark.parametrize(
    "fields",
    [
        {"values": ((0.0,) * 4,) * 3, "noise_floor": 0.0, "spread_floor": 0.0},
        {"values": ((1.04, 0.9, 0.95, 0.97),) * 3},
        {"values": ((-0.04, 0.9, -0.01, 0.1),) * 3},
        {"values": ((0.65, 0.9, 0.6, 0.7),) * 3, "noise_floor": 0.62, "measure": "procrustes"},
        {"errors": 0, "estimator": "", "digest": ""},
    ],
)
def test_odd_maps_are_drawn(similarity, drawn, fields):
    assert any("noise floor" in text for text in drawn(similarity(3, 4, **fields))[0])


def test_names_are_drawn_as_text_not_as_formulas_or_markup(similarity, drawn):
    texts, _ = drawn(similarity(2, 3, student="$x_{}$", teacher="a<b>&\x1b\n{}", notes=("at `$x_1$\u202e`",)))
    assert {"$x_*$", r"teacher layer  a<b>&\x1b\n*", r"note: at `$x_1$\u202e`"} <= set(texts)


@pytest.mark.parametrize("name", ["a.png", "a.SVG", "a.PNG"])
def test_the_same_picture_has_the_same_bytes(similarity, tmp_path, name):
    first, second = tmp_path / name, tmp_path / f"b{name}"
    plot_similarity(similarity(3, 4), first)
    plot_similarity(similarity(3, 4), str(second))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(b"\x89PNG" if "png" in name.lower() else b"<?xml")
    assert b"dc:date" not in first.read_bytes()


def test_a_picture_that_cannot_be_written(similarity, tmp_path):
    with pytest.raises(MapsearchError, match=r"\.png or \.svg.*`x\.pdf`"):
        plot_similarity(similarity(2, 2), "x.pdf")
    with pytest.raises(MapsearchError, match="folder does not exist"):
        plot_similarity(similarity(2, 2), tmp_path / "no" / "x.png")
    (tmp_path / "x.png").mkdir()
    with pytest.raises(MapsearchError, match="Is a directory"):
        plot_similarity(similarity(2, 2), tmp_path / "x.png")


@pytest.mark.parametrize(("S", "T"), [(2, 3), (3, 2), (4, 48)])
def test_a_comparison_has_three_panels(similarity, drawn, S, T):
    comparison = compare_similarities(similarity(S, T), similarity(S, T, height=0.5))
    texts, groups = drawn(comparison, plot_comparison)
    assert "before: linear CKA, 2048 samples" in texts
    assert "after: linear CKA, 2048 samples" in texts
    assert any("after - before; box: largest change; grey:" in text for text in texts)
    assert groups["largest-change"] == 2
    assert texts.count("0.060 noise floor") == 2


def test_nothing_is_grey_where_errors_are_not_known(similarity, drawn):
    texts, _ = drawn(compare_similarities(similarity(2, 3, errors=0), similarity(2, 3)), plot_comparison)
    assert not any("grey" in text for text in texts)


def test_values_of_two_measures_are_not_called_gain_or_loss(similarity, drawn):
    comparison = compare_similarities(similarity(2, 3), similarity(2, 3, measure="procrustes"))
    assert any("neither gain nor loss" in text for text in drawn(comparison, plot_comparison)[0])
