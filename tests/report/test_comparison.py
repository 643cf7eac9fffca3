from mapsearch.report import comparison_lines, comparison_table
from mapsearch.similarity.comparison import compare_similarities


def test_what_changed_in_words(similarity, printed):
    before = similarity(2, 2, values=((0.9, 0.2), (0.1, 0.7)))
    after = similarity(2, 2, values=((0.3, 0.8), (0.1, 0.7)))
    comparison = compare_similarities(before, after)
    assert comparison_lines(comparison) == [
        "rank correlation 0.20 over 4 pairs; largest change -0.60 at layers.0 ~ encoder.layer.0.output "
        "(0.90 to 0.30); another best teacher for 1 of 2 student layers, 1 beyond the standard errors"
    ]
    text = printed(comparison_table(comparison), 160)
    first, second = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    assert [cell.strip() for cell in first] == [
        "layers.0", "encoder.layer.0.output (0.90 ± 0.01)", "encoder.layer.1.output (0.80 ± 0.01)", "yes", "yes",
    ]  # fmt: skip
    assert [cell.strip() for cell in second[-2:]] == ["no", "-"]


def test_what_is_not_known_is_not_said(similarity, printed):
    before = similarity(1, 2, values=((0.5, 0.5),), errors=0, digest="")
    comparison = compare_similarities(before, similarity(1, 2, values=((0.2, 0.5),)))
    lines = comparison_lines(comparison)
    assert lines[-1].startswith("no rank correlation: one has equal values throughout over 2 pairs")
    assert "note: not known whether both saw the same samples" in lines
    assert "beyond" not in lines[-1]
    assert "not known" in printed(comparison_table(comparison), 120)
