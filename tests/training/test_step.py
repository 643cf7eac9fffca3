import pytest
import torch
from small_tasks import Clusters, Sequence, load, make_plans, make_space

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill, open_worker_state

PAIR = Recipe(LayerMapping((Pair("1", "blocks.1", 1.0),)), "cosine", feature_share=0.5, output_weight=1.0)
PAIR_IN_BLOCKS = Recipe(LayerMapping((Pair("blocks.0", "blocks.1", 1.0),)), feature_share=0.5, anneal=None)


class Plain(Clusters):
    """A student without batch norm, to which a batch is the mean of its samples."""

    def student(self):
        return Sequence(inplace=False)


def runs(train, *recipes, cached=False, n_parts=1):
    loaded = load(Plain())
    space = make_space(loaded, ("1", "3"))
    state = open_worker_state(loaded, train) if cached else None
    plans = [p.__class__(**{**vars(p), "n_parts": n_parts}) for p in make_plans(*recipes, n_steps=16)]
    return [event for event in distill(loaded, space, train, plans, state) if isinstance(event, RunResult)]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_two_batches_of_8_make_the_step_of_one_of_16(optimizer):
    whole, halves = (
        runs(TrainSpec(steps=16, batch_size=size, accumulate=n, optimizer=optimizer), PAIR, Recipe())
        for size, n in ((16, 1), (8, 2))
    )
    for one, other in zip(whole, halves, strict=True):
        assert one.state == other.state == "complete"
        assert [loss for _, loss in other.curve] == pytest.approx([loss for _, loss in one.curve], rel=1e-4)
        assert other.metrics == pytest.approx(one.metrics, rel=1e-3)


def test_accumulated_runs_come_out_again_alone_in_parts_and_from_the_cache():
    train = TrainSpec(steps=16, batch_size=8, accumulate=3)
    together = runs(train, PAIR, Recipe())
    assert [run.curve for run in together] == [runs(train, recipe)[0].curve for recipe in (PAIR, Recipe())]
    for other in (runs(train, PAIR, cached=True)[0], runs(train, PAIR, n_parts=2)[0]):
        values = [loss for _, loss in together[0].curve]
        assert [loss for _, loss in other.curve] == pytest.approx(values, rel=1e-4)


def test_the_first_loss_is_that_of_the_first_batch():
    first = [runs(TrainSpec(steps=16, batch_size=8, accumulate=n), Recipe())[0].first_loss for n in (1, 3)]
    assert first[0] == pytest.approx(first[1], rel=1e-6)


class Watched(Clusters):
    """Keeps the weights after each step, as they are seen at the next one."""

    def __init__(self):
        super().__init__()
        self.heads = []

    def forward(self, model, batch):
        if model.training:
            self.heads.append(next(model.parameters()).detach().clone())
        return super().forward(model, batch)


def test_features_teach_up_to_their_end_and_then_the_task_alone():
    train = TrainSpec(steps=16, batch_size=8, optimizer="sgd", weight_decay=0.0)
    seen = []
    for spec, recipe in (
        (train, PAIR_IN_BLOCKS),
        (train.model_copy(update={"features_until": 0.5}), PAIR_IN_BLOCKS),
    ):
        task = Watched()
        loaded = load(task)
        list(distill(loaded, make_space(loaded), spec, make_plans(recipe, n_steps=16)))
        seen.append(task.heads[-16:])
    same = [bool(torch.equal(one, other)) for one, other in zip(*seen, strict=True)]
    assert same == [True] * 9 + [False] * 7  # the ninth step, step 8, is the first without features


def test_runs_whose_features_end_come_out_again_and_score_as_a_cohort():
    train = TrainSpec(steps=16, batch_size=8, features_until=0.3)
    together = runs(train, PAIR, Recipe())
    assert [run.curve for run in together] == [runs(train, recipe)[0].curve for recipe in (PAIR, Recipe())]
    plain = runs(train.model_copy(update={"features_until": 1.0}), PAIR, Recipe())
    assert plain[0].curve != together[0].curve
    assert plain[1].curve == together[1].curve


@pytest.mark.parametrize("schedule", ["linear", "constant"])
def test_schedules_train_and_come_out_again(schedule):
    train = TrainSpec(steps=16, batch_size=8, schedule=schedule)
    (one,), (again,), (cosine,) = runs(train, PAIR), runs(train, PAIR), runs(TrainSpec(steps=16, batch_size=8), PAIR)
    assert one.curve == again.curve != cosine.curve
    assert torch.tensor([loss for _, loss in one.curve]).isfinite().all()
