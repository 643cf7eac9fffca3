from mapsearch.report.comparison import comparison_lines, comparison_table
from mapsearch.similarity.comparison import compare_similarities


def test_what_changed_in_words(similarity, printed):
    before = similarity(2, 2, values=((0.9, 0.2), (0.1, 0.7)))
    after = similarity(2, 2, values=((0.3, 0.8), (0.1, 0.7)))
    comparison = compare_similarities(before, after)
    (sentence,) = comparison_lines(comparison)
    for part in (
        "rank correlation 0.20", "4 pairs", "-0.60 at layers.0 ~ encoder.layer.0.output (0.90 to 0.30)",
        "1 of 2 student layers", "1 beyond",
    ):  # fmt: skip
        assert part in sentence
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
    assert "no rank correlation" in lines[-1]
    assert any("same samples" in line for line in lines[:-1])
    assert "beyond" not in lines[-1]
    assert "unknown" in printed(comparison_table(comparison), 120)
