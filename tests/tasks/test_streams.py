import random
from itertools import islice

import pytest
import torch
from small_tasks import Clusters, Points, load, make_plans, make_space
from torch.utils.data import DataLoader, IterableDataset

from mapsearch.core.errors import TaskError
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill, open_worker_state
from mapsearch.tasks.streams import HEAD_SAMPLES, Stream
from mapsearch.tasks.training_batches import drawn_batches, train_batches

TRAIN = TrainSpec(steps=12, batch_size=16)
PAIR = Recipe(LayerMapping((Pair("blocks.0", "blocks.1", 1.0),)), feature_share=0.5)
LOGITS = Recipe(output_weight=1.0, temperature=2.0)


class Shuffled(IterableDataset):
    """Samples in an order drawn from Python's generator, or that of the last `set_epoch`."""

    def __init__(self, n=40):
        self.points, self.epoch = Points(n, 1), None

    def __iter__(self):
        order = list(range(len(self.points)))
        (random if self.epoch is None else random.Random(self.epoch)).shuffle(order)
        return (self.points[i] for i in order)


class Epochs(Shuffled):
    def set_epoch(self, epoch):
        self.epoch = epoch


class Streamed(Clusters):
    def __init__(self, make=Shuffled):
        super().__init__()
        self.make = make

    def train_data(self):
        return self.make()

    def valid_data(self):
        points = super().valid_data()
        return (points[i] for i in range(len(points)))


def generator():
    return iter(Shuffled())


def loader():
    return DataLoader(Shuffled(), batch_size=4, collate_fn=lambda samples: [torch.stack(x) for x in zip(*samples)])  # noqa: B905


FORMS = pytest.mark.parametrize("make", [Shuffled, Epochs, generator, loader])


def seen(loaded, seed, n=9):
    return torch.cat([x for x, _ in train_batches(loaded, 16, seed, n)])


@FORMS
def test_every_run_of_a_seed_reads_the_same(make):
    loaded = load(Streamed(make))
    first = seen(loaded, 3)
    torch.rand(5), random.random()
    assert torch.equal(seen(loaded, 3), first)
    assert torch.equal(seen(loaded, 3, 4), first[: 4 * 16])
    assert not torch.equal(seen(loaded, 4), first)


@FORMS
def test_each_pass_gives_every_sample_once(make):
    x = seen(load(Streamed(make)), 3, 5)  # 80 samples: two passes over 40
    for one in (x[:40], x[40:]):
        assert len(one.unique(dim=0)) == 40
    assert not torch.equal(x[:40], x[40:])


@FORMS
def test_members_of_a_cohort_train_as_if_alone(make):
    loaded = load(Streamed(make))
    space, state = make_space(loaded), open_worker_state(loaded, TRAIN)
    assert state.cache is None

    def curves(*recipes):
        events = distill(loaded, space, TRAIN, make_plans(*recipes), state)
        return [event.curve for event in events if isinstance(event, RunResult)]

    assert curves(PAIR, LOGITS) == [*curves(PAIR), *curves(LOGITS)]


def test_parts_of_a_batch_are_read_in_order():
    loaded = load(Streamed())
    (whole,), parts = (next(iter(drawn_batches(loaded, 16, 3, 2, n))) for n in (1, 4))
    assert torch.equal(torch.cat([part.batch[0] for part in parts]), whole.batch[0])


def test_a_stream_of_validation_samples_is_read_once_and_split():
    loaded = load(Streamed())
    assert len(loaded.valid) == 64
    assert "stream" in loaded.messages[0].text


def test_only_the_first_samples_of_an_endless_stream_have_an_index():
    class Endless(IterableDataset):
        def __iter__(self):
            while True:
                yield torch.rand(8), 0

    loaded = load(Streamed(Endless))
    assert len(loaded.train) == HEAD_SAMPLES
    assert loaded.train.is_longer
    assert torch.equal(seen(loaded, 3), seen(loaded, 3))


def test_the_place_where_reading_failed_is_named():
    def failing():
        for i in range(20):
            if i == 13:
                raise ValueError("not a picture")
            yield torch.zeros(8), 0

    with pytest.raises(TaskError, match=r"reading `train_data\(\)` after 13 samples.*not a picture.*test_streams.py:"):
        load(Streamed(failing))


def test_a_stream_that_ends_for_good_is_an_error():
    once = iter([(torch.zeros(8), 0)] * 20)
    with pytest.raises(TaskError, match="gave no sample"):
        list(islice(Stream(lambda: once).read(1), 30))
