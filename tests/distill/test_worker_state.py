"""What a worker says about its cache: never nothing where the teacher must run again and again."""

from small_tasks import Clusters, load, make_plans, make_space

from mapsearch.core.events import Message
from mapsearch.core.recipe import Recipe
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill, open_worker_state

TRAIN = TrainSpec(steps=5, batch_size=16)
LOGITS = Recipe(output_weight=1.0, temperature=2.0)


class Unreadable(Clusters):
    """Training samples that cannot be read."""

    def collate(self, samples):
        raise FileNotFoundError("points.bin is gone")


def messages(loaded, state):
    events = distill(loaded, make_space(loaded), TRAIN, make_plans(LOGITS, n_steps=5), state)
    return [event.text for event in events if isinstance(event, Message)]


def test_outputs_that_do_not_fit_are_named_once():
    loaded = load(Clusters())
    state = open_worker_state(loaded, TRAIN, cache_bytes=100)
    (text,) = messages(loaded, state)
    assert "outputs are not cached" in text
    assert "bytes" in text
    assert not messages(loaded, state)


def test_data_that_cannot_be_read_twice_is_said():
    state = open_worker_state(load(Unreadable()), TRAIN)
    (message,) = state.take_messages()
    assert state.cache is None
    assert "points.bin is gone" in message.text


def test_where_everything_is_cached_nothing_is_said():
    loaded = load(Clusters())
    assert not messages(loaded, open_worker_state(loaded, TRAIN))
