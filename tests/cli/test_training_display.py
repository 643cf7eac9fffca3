"""Progress of a training in words."""

from mapsearch.cli.training_display import progress_text, seconds_left
from mapsearch.core.events import Progress


def test_the_time_left_follows_the_pace_of_this_process():
    progress = Progress((0, 2, 1), 1, 150, 300, 1.234567)
    assert seconds_left(progress, (150, 10.0), 10.0) is None
    assert seconds_left(progress, (100, 10.0), 20.0) == 30.0
    assert progress_text(progress, None) == "step 150/300, loss 1.235"
    assert progress_text(progress, 3725.4) == "step 150/300, loss 1.235, 1:02:05 left"
