"""Steps recorded as CUDA graphs are ordinary steps: the same losses and weights, on a device that really replays."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from small_tasks import Clusters, Net, Pictures, Sentences, every_recipe, load, make_plans, make_space
from torch import Tensor, nn

from mapsearch.core.events import Message
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill, open_worker_state

pytestmark = pytest.mark.cuda

TRAIN = TrainSpec(steps=16, batch_size=16, lr=0.02, optimizer="sgd", precision="float32")
LOGITS = Recipe(output_weight=1.0, temperature=2.0)


def trained(
    task: Any, device: str, replayed: bool, train: TrainSpec = TRAIN, recipes: Any = None
) -> tuple[list[RunResult], list[str], list[int]]:
    """Results by number, what was told, and how many steps Python launched in each forward pass of a student."""
    loaded = load(task, device)
    space = make_space(loaded)
    n_forward = [0]
    forward = task.forward

    def counted(model: nn.Module, batch: Any) -> Any:
        n_forward[0] += model.training
        return forward(model, batch)

    task.forward = counted
    state = open_worker_state(loaded, train)
    n_forward[0] = 0
    if not replayed:
        state = replace(state, open_recorder=None)
    plans = make_plans(*(recipes or every_recipe(space)), n_steps=train.steps)
    events = list(distill(loaded, space, train, plans, state))
    results = sorted((event for event in events if isinstance(event, RunResult)), key=lambda run: run.key)
    return results, [event.text for event in events if isinstance(event, Message)], n_forward


def assert_same(ones: list[RunResult], others: list[RunResult], rel: float = 1e-4) -> None:
    for one, other in zip(ones, others, strict=True):
        assert one.state == other.state == "complete", (one.error, other.error)
        assert dict(one.curve) == pytest.approx(dict(other.curve), rel=rel)
        assert one.metrics["loss"] == pytest.approx(other.metrics["loss"], rel=rel)
        assert one.mixed_weights == pytest.approx(other.mixed_weights, rel=rel)
        assert one.notes == other.notes


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("task", [Clusters, Pictures, Sentences])
def test_replayed_steps_of_every_loss_are_ordinary_steps(cuda: str, task: Any) -> None:
    replayed, launched = trained(task(), cuda, True), trained(task(), cuda, False)
    assert_same(replayed[0], launched[0])
    assert replayed[2][0] < (0.8 if task is Sentences else 0.5) * launched[2][0], replayed[1]
    if task is not Sentences:
        assert not replayed[1]


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize(
    "fields", [{"ema": 0.9}, {"accumulate": 2}, {"features_until": 0.5}, {"precision": "bfloat16"}], ids=str
)
def test_replayed_steps_follow_the_study(cuda: str, fields: dict[str, Any]) -> None:
    train = TRAIN.model_copy(update=fields)
    recipes = every_recipe(make_space(load(Clusters(), cuda)))
    chosen = [recipes[1], *recipes[-5:]]
    runs = [trained(Clusters(), cuda, replayed, train, chosen) for replayed in (True, False)]
    assert_same(runs[0][0], runs[1][0], rel=0.02 if "precision" in fields else 1e-4)
    assert runs[0][2][0] < 0.6 * runs[1][2][0], runs[0][1]


@pytest.mark.usefixtures("exact")
def test_with_adamw_losses_are_those_of_ordinary_steps(cuda: str) -> None:
    train = TRAIN.model_copy(update={"optimizer": "adamw", "lr": 2e-3})
    assert_same(*(trained(Pictures(), cuda, replayed, train)[0] for replayed in (True, False)), rel=1e-3)


@pytest.mark.usefixtures("exact")
def test_dropout_of_a_replayed_step_is_that_of_an_ordinary_one(cuda: str) -> None:
    recipes = [LOGITS, Recipe(), LOGITS]
    replayed, launched = (trained(Clusters(dropout=0.3), cuda, replayed, recipes=recipes) for replayed in (True, False))
    assert_same(replayed[0], launched[0])
    assert replayed[0][0].curve == replayed[0][2].curve
    assert replayed[2][0] < 0.5 * launched[2][0], replayed[1]


class Failing(Net):
    """It does what cannot be recorded, and what no look at a step shows."""

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        if torch.cuda.is_current_stream_capturing():
            x.sum().item()
        return x


class Failures(Clusters):
    def student(self) -> nn.Module:
        return Failing(8, 2, self.dropout)


@pytest.mark.usefixtures("exact")
def test_a_recording_that_fails_costs_no_run(cuda: str) -> None:
    recipes = [LOGITS, Recipe()]
    replayed, launched = (trained(Failures(dropout=0.3), cuda, replayed, recipes=recipes) for replayed in (True, False))
    assert_same(replayed[0], launched[0])
    assert "recording failed" in " ".join(replayed[1])
