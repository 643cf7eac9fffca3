"""A student trained alone is the study's own, and one that was stopped is the one that was not."""

from dataclasses import replace

import pytest
import torch
from small_tasks import Clusters, LostFile, Pictures, SecondTires, every_recipe, load, make_space
from torch.utils.data import IterableDataset

from mapsearch.core.errors import TrainingFailed
from mapsearch.core.events import Message, Progress
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.core.trained import TrainRequest, Validation
from mapsearch.core.training_settings import TrainingSettings
from mapsearch.distill import distill
from mapsearch.tasks.evaluation import evaluate
from mapsearch.trainer import TrainedStudent, train_student
from mapsearch.trainer.checkpoint_file import CheckpointFile

MAPPING = LayerMapping((Pair("blocks.0", "blocks.1", 1.0), Pair("blocks.1", "blocks.0", 1.0)))
RECIPE = Recipe(MAPPING, feature_share=0.5, output_weight=1.0, temperature=2.0)
N_STEPS, SEED = 12, 3


def settings(metric="accuracy", direction="maximize", **train):
    spec = TrainSpec(steps=N_STEPS, batch_size=16, **train)
    return TrainingSettings(task="task.py:Clusters", metric=metric, direction=direction, train=spec)


def plan(recipe=RECIPE):
    return RunPlan(0, recipe, 2, SEED, "confirm", "test", N_STEPS)


def request(**fields):
    return replace(TrainRequest(N_STEPS, SEED, validate_every=4, checkpoint_every=5), **fields)


def events(loaded, how=None, recipe=RECIPE, **fields):
    asked = {name: fields.pop(name) for name in ("keep", "validate_every") if name in fields}
    return train_student(loaded, make_space(loaded), how or settings(), plan(recipe), request(**asked), **fields)


def trained(*args, **fields):
    (student,) = [event for event in events(*args, **fields) if isinstance(event, TrainedStudent)]
    return student


def assert_same(some, other):
    for a, b in ((some.student, other.student), (some.loss, other.loss)):
        weights = b.state_dict()
        assert all(torch.equal(x, weights[name]) for name, x in a.state_dict().items())
    assert some.curve == other.curve
    assert some.validations == other.validations
    assert (some.kept_step, some.first_loss) == (other.kept_step, other.first_loss)


class StopAt:
    """Says after so many steps that training is to stop."""

    def __init__(self, n):
        self.n = n

    def __call__(self):
        self.n -= 1
        return self.n == 0


def stopped_and_resumed(loaded, folder, at, **fields):
    file = CheckpointFile(folder, {"seed": SEED})
    for n in at:
        with pytest.raises(KeyboardInterrupt):
            trained(loaded, file=file, is_stopped=StopAt(n), **fields)
    return trained(loaded, file=file, **fields)


class NoisyStream(IterableDataset):
    """Samples with fresh noise from the global generator, in an order that the epoch decides."""

    epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        data = Clusters().train_data()
        for i in torch.randperm(len(data), generator=torch.Generator().manual_seed(self.epoch)).tolist():
            x, y = data[i]
            yield x + 0.1 * torch.randn(x.shape), y


class Streamed(Clusters):
    def train_data(self):
        return NoisyStream()


@pytest.mark.parametrize("number", range(23))
def test_the_student_is_that_of_the_study(number):
    loaded = load(Clusters(dropout=0.1))
    recipes = every_recipe(make_space(loaded))
    how = settings(ema=0.9) if number % 2 else settings(schedule="linear", accumulate=2)
    run = plan(recipes[number])
    (result,) = [x for x in distill(loaded, make_space(loaded), how.train, [run]) if isinstance(x, RunResult)]
    if result.state != "complete":
        with pytest.raises(TrainingFailed, match=result.state):
            trained(loaded, how, recipes[number])
        return
    own = trained(loaded, how, recipes[number])
    assert evaluate(loaded, [own.student], loaded.test, how.train)[0] == pytest.approx(result.metrics, rel=1e-5)
    assert own.first_loss == pytest.approx(result.first_loss, rel=1e-5)
    assert own.curve[-1][0] == N_STEPS


@pytest.mark.parametrize(
    ("task", "how"),
    [
        (Clusters(dropout=0.2, jitter=0.1), settings()),
        (Clusters(), settings(ema=0.9, optimizer="sgd", lr=0.01, accumulate=2)),
        (Pictures(), settings()),
        (Streamed(), settings()),
    ],
    ids=["dropout", "average", "pictures", "stream"],
)
def test_a_training_that_was_stopped_ends_bit_for_bit_like_one_that_was_not(task, how, tmp_path):
    loaded = load(task)
    recipe = replace(RECIPE, aggregation="mix", balance="gate", projector="mlp")
    whole = trained(loaded, how, recipe)
    assert_same(stopped_and_resumed(loaded, tmp_path, (1, 6, 3), how=how, recipe=recipe), whole)


def test_a_training_that_had_ended_gives_its_student_again(tmp_path):
    loaded = load(Clusters())
    file = CheckpointFile(tmp_path, {"seed": SEED})
    assert_same(trained(loaded, file=file), trained(loaded, file=file))


def test_the_teacher_and_the_initial_student_may_be_measured_between_steps():
    loaded = load(Clusters())
    often, seldom = (trained(loaded, validate_every=n) for n in (1, N_STEPS))
    assert len(often.validations) == N_STEPS
    assert_same(replace(often, validations=seldom.validations, curve=seldom.curve), seldom)


@pytest.mark.parametrize(("metric", "direction", "best"), [("accuracy", "maximize", max), ("loss", "minimize", min)])
def test_the_best_weights_are_kept(metric, direction, best, tmp_path):
    loaded, how = load(Clusters()), settings(metric, direction, lr=0.05)
    own = stopped_and_resumed(loaded, tmp_path, (7,), how=how, keep="best", validate_every=1)
    values = [validation.metrics[metric] for validation in own.validations]
    assert own.kept_step == 1 + values.index(best(values))
    assert evaluate(loaded, [own.student], loaded.valid, how.train)[0][metric] == pytest.approx(best(values))


def test_it_tells_how_it_goes():
    loaded = load(Clusters())
    seen = list(events(loaded))
    assert [x.step for x in seen if isinstance(x, Progress)] == [4, 8, 10, 12]
    assert [x.step for x in seen if isinstance(x, Validation)] == [4, 8, 12]


def test_another_first_loss_than_the_studys_is_told():
    loaded = load(Clusters())
    first = trained(loaded).first_loss
    assert not any(isinstance(x, Message) for x in events(loaded, first_loss=first))
    (message,) = [x for x in events(loaded, first_loss=1.1 * first) if isinstance(x, Message)]
    assert "data or networks are not what they were" in message.text


def test_what_ends_a_training_is_one_line():
    with pytest.raises(TrainingFailed, match=r"diverged: term .* is (nan|inf) at step"):
        trained(load(Clusters()), settings(lr=1e30))
    task = SecondTires()
    loaded, space = load(task), make_space(load(Clusters()))
    with pytest.raises(TrainingFailed, match="the training failed: ValueError: no more, please"):
        list(train_student(loaded, space, settings(), plan(), request()))
    with pytest.raises(TrainingFailed, match=r"points.bin is gone"):
        list(train_student(load(LostFile()), space, settings(), plan(), request()))
    with pytest.raises(TrainingFailed, match=r"after step 4: `metric: acuracy` .* did you mean `accuracy`"):
        trained(load(Clusters()), settings("acuracy"))
