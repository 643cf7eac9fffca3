"""Recorded steps are ordinary steps: the same losses, weights and metrics, whatever the recipe."""

from typing import Any

import pytest
import torch
from small_tasks import Clusters, Net, Pictures, Sentences, every_recipe, load, make_plans, make_space
from tape import Tape
from torch import Tensor, nn

from mapsearch.core.events import Message
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import WorkerState, distill

ADAMW = TrainSpec(steps=12, batch_size=16, lr=5e-3, warmup=0.2)
SGD = ADAMW.model_copy(update={"optimizer": "sgd", "lr": 0.02})
"""AdamW makes steps of the rounding errors of weights that have no gradient, such as a bias before batch norm."""
LOGITS = Recipe(output_weight=1.0, temperature=2.0, lr_factor=2.0)


class Kept:
    """A task whose students are kept."""

    def __init__(self, task: Any) -> None:
        self.task, self.students = task, []
        make = task.student

        def student() -> nn.Module:
            self.students.append(make())
            return self.students[-1]

        task.student = student


def trained(task: Any, recipes: Any, train: TrainSpec = SGD, tape: Tape | None = None, n_steps: int = 12) -> Any:
    """Results by number, the weights of every student after training, and what was told."""
    kept = Kept(task)
    loaded = load(task)
    space = make_space(loaded)
    recipes = recipes or every_recipe(space)
    kept.students.clear()
    state = WorkerState(open_recorder=None if tape is None else lambda step_bytes: tape)
    events = list(distill(loaded, space, train, make_plans(*recipes, n_steps=n_steps), state))
    results = sorted((event for event in events if isinstance(event, RunResult)), key=lambda run: run.key)
    told = [event.text for event in events if isinstance(event, Message)]
    return results, [student.state_dict() for student in kept.students], told


def assert_same(ones: Any, others: Any) -> None:
    assert_same_results(ones[0], others[0])
    for one, other in zip(ones[1], others[1], strict=True):
        for name, weight in one.items():
            torch.testing.assert_close(weight, other[name], rtol=1e-4, atol=1e-6)


def assert_same_results(ones: list[RunResult], others: list[RunResult]) -> None:
    for one, other in zip(ones, others, strict=True):
        assert one.state == other.state == "complete", (one.error, other.error)
        assert dict(one.curve) == pytest.approx(dict(other.curve), rel=1e-5)
        assert one.metrics == pytest.approx(other.metrics, rel=1e-4, abs=1e-6)
        assert one.mixed_weights == pytest.approx(other.mixed_weights, rel=1e-5)
        assert one.notes == other.notes


@pytest.mark.parametrize("task", [Clusters, Pictures, Sentences])
def test_replayed_steps_of_every_loss_are_ordinary_steps(task: Any) -> None:
    tape = Tape()
    assert_same(trained(task(), None, tape=tape), trained(task(), None))
    assert tape.n_recorded > (15 if task is Sentences else 20), "a loss of real tokens alone waits for their number"
    assert tape.n_replayed == 10 * tape.n_recorded, "all but the first two"
    assert tape.closed


def test_with_adamw_losses_are_those_of_ordinary_steps() -> None:
    tape = Tape()
    replayed, ordinary = trained(Clusters(), None, ADAMW, tape)[0], trained(Clusters(), None, ADAMW)[0]
    for one, other in zip(replayed, ordinary, strict=True):  # AdamW makes whole steps of gradients that are rounding
        assert dict(one.curve) == pytest.approx(dict(other.curve), rel=1e-3)
        assert one.metrics["loss"] == pytest.approx(other.metrics["loss"], rel=5e-3)
    assert tape.n_replayed == 10 * tape.n_recorded > 200


@pytest.mark.parametrize(
    "fields", [{"ema": 0.9}, {"accumulate": 2}, {"features_until": 0.5}, {"max_grad_norm": 0.05}], ids=str
)
def test_replayed_steps_follow_the_study(fields: dict[str, Any]) -> None:
    recipes = every_recipe(make_space(load(Clusters())))
    chosen = [recipes[1], recipes[4], *recipes[-5:]]
    train, tape = SGD.model_copy(update=fields), Tape()
    assert_same(trained(Clusters(), chosen, train, tape), trained(Clusters(), chosen, train))
    assert tape.n_replayed == 10 * len(chosen)


class Capricious(Net):
    """It skips a block now and then, by a number drawn on the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            if torch.rand(()) > 0.3:
                x = block(x)
        return self.head(x)


class Caprices(Clusters):
    def student(self) -> nn.Module:
        return Capricious(8, 2)


def test_a_student_that_draws_on_the_cpu_takes_ordinary_steps_and_it_is_told_once() -> None:
    recipes, tape = [LOGITS, Recipe()], Tape()
    replayed = trained(Caprices(), recipes, ADAMW, tape)
    assert tape.n_recorded == 0
    (text,) = replayed[2]
    assert "random" in text
    assert_same_results(replayed[0], trained(Caprices(), recipes, ADAMW)[0])


@pytest.mark.parametrize("fails", [0, 1])
def test_a_recording_that_fails_ends_all_recording_and_no_run(fails: int) -> None:
    recipes, tape = [LOGITS, Recipe(), every_recipe(make_space(load(Clusters())))[1]], Tape(fails=fails)
    replayed = trained(Clusters(), recipes, tape=tape)
    assert tape.recovered
    assert tape.n_recorded == fails
    assert "capturing" in " ".join(replayed[2])
    assert_same(replayed, trained(Clusters(), recipes))


class Uneven(Clusters):
    """Every second batch has another form."""

    def __init__(self) -> None:
        super().__init__()
        self.n_batches = 0

    def collate(self, samples: list[Any]) -> Any:
        self.n_batches += 1
        x, y = super().collate(samples)
        return (x, y.int()) if self.n_batches % 2 else (x, y)


def test_batches_of_another_form_take_ordinary_steps() -> None:
    tape = Tape()
    assert_same(trained(Uneven(), [LOGITS], tape=tape), trained(Uneven(), [LOGITS]))
    assert 0 < tape.n_replayed < 10


def test_a_run_that_diverges_leaves_the_others_replaying() -> None:
    recipes = [Recipe(lr_factor=1e30), LOGITS]
    results, _, _ = trained(Clusters(), recipes, tape=Tape(), n_steps=24)
    assert [run.state for run in results] == ["diverged", "complete"]
