import pytest

from mapsearch.verdict.margin import frozen_margin


@pytest.mark.parametrize(
    ("stated", "teacher", "alone", "direction", "margin", "reason"),
    [
        (0.02, 0.9, [0.5], "maximize", 0.02, "as stated"),
        (None, 0.9, [0.4, 0.6], "maximize", 0.02, "5% of the distance"),
        (None, 1.0, [3.0], "minimize", 0.1, "5% of the distance"),
        (None, 0.5, [0.6], "maximize", 0.006, "1% of the metric"),
        (None, 2.0, [1.0], "minimize", 0.01, "1% of the metric"),
        (None, 2.0, [], "minimize", 0.0, "none"),
    ],
)
def test_margin(stated, teacher, alone, direction, margin, reason):
    found, why = frozen_margin(stated, teacher, alone, direction)
    assert found == pytest.approx(margin)
    assert reason in why
