"""What is kept of a student's training."""

import pytest

from mapsearch.training.student import MOST_TERM_POINTS, thinned


@pytest.mark.parametrize("n", [0, 1, MOST_TERM_POINTS, MOST_TERM_POINTS + 1, 1000])
def test_of_the_terms_over_time_few_steps_are_kept_and_the_last_one(n):
    kept = thinned([(10 * i, (1 / 3, 2.0)) for i in range(1, n + 1)])
    assert len(kept) <= MOST_TERM_POINTS
    assert 2 * len(kept) >= min(n, MOST_TERM_POINTS)
    assert kept[-1:] == (((10 * n, (0.3333, 2.0)),) if n else ())
    assert [step for step, _ in kept] == sorted(step for step, _ in kept)
