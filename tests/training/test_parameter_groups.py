import pytest
import torch
from small_tasks import Clusters, load, make_plans, make_space
from torch import nn

from mapsearch.core.errors import TaskError
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill
from mapsearch.training.parameter_groups import parameter_groups
from mapsearch.training.student import open_student

PAIR = Recipe(LayerMapping((Pair("blocks.0", "blocks.1", 1.0),)), feature_share=0.5)
TRAIN = TrainSpec(steps=12, batch_size=16, lr=1e-2)


class Grouped(Clusters):
    """The head learns three times as fast, without weight decay."""

    def parameter_groups(self, student, lr):
        head = set(student.head.parameters())
        rest = [p for p in student.parameters() if p not in head]
        return [{"params": student.head.parameters(), "lr": 3 * lr, "weight_decay": 0.0}, {"params": rest}]


def groups(task, recipe=PAIR, **options):
    loaded, train = load(task), TRAIN.model_copy(update=options)
    training = open_student(loaded, make_space(loaded), train, make_plans(recipe)[0], torch.contiguous_format)
    return [(len(g["params"]), g["lr"], g["weight_decay"]) for g in training.optimizer.param_groups]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_groups_keep_their_own_options_and_projectors_come_on_top(optimizer):
    assert groups(Grouped(), optimizer=optimizer) == [(2, 3e-2, 0.0), (10, 1e-2, 0.01), (2, 1e-2, 0.01)]
    assert groups(Grouped(), Recipe(), projector_lr=5.0) == [(2, 3e-2, 0.0), (10, 1e-2, 0.01)]


def test_projectors_have_a_rate_in_units_of_the_students():
    assert groups(Clusters()) == [(12, 1e-2, 0.01), (2, 1e-2, 0.01)]
    assert groups(Clusters(), projector_lr=5.0) == [(12, 1e-2, 0.01), (2, 5e-2, 0.01)]


def curve(task, **options):
    loaded = load(task)
    events = distill(loaded, make_space(loaded), TRAIN.model_copy(update=options), make_plans(PAIR))
    (run,) = [event for event in events if isinstance(event, RunResult)]
    assert run.state == "complete", run.error
    return run.curve


def test_groups_and_rates_change_what_is_learnt_and_are_reproducible():
    assert curve(Grouped()) == curve(Grouped()) != curve(Clusters())
    assert curve(Clusters(), projector_lr=5.0) == curve(Clusters(), projector_lr=5.0) != curve(Clusters())


def test_groups_of_equal_options_change_nothing():
    class Same(Clusters):
        def parameter_groups(self, student, lr):
            return [{"params": student.stem.parameters()}, {"params": [*student.blocks.parameters()], "lr": lr},
                    {"params": student.head.parameters()}]  # fmt: skip

    equal = [loss for _, loss in curve(Clusters())]
    assert [loss for _, loss in curve(Same())] == pytest.approx(equal, rel=1e-5)


def test_every_group_follows_the_schedule():
    loaded = load(Grouped())
    plan = make_plans(PAIR, n_steps=4)[0]
    training = open_student(loaded, make_space(loaded), TRAIN, plan, torch.contiguous_format)
    assert [group["initial_lr"] for group in training.optimizer.param_groups] == [3e-2, 1e-2, 1e-2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda net: [{"params": net[0].parameters()}], r"2 are in none \(`1.weight` first\).*`requires_grad_"),
        (lambda net: [{"params": net.parameters()}, {"params": net[0].weight}], "once, but some are in two"),
        (lambda net: [{"params": [*net.parameters(), nn.Parameter(torch.ones(1))]}], "another module's"),
        (lambda net: net.parameters(), "list of dicts with `params`.*got <generator"),
        (lambda net: [{"params": net.named_parameters()}], "got tuple"),
        (lambda net: [{"params": net.parameters(), "weight_decy": 0}], "`weight_decy`; did you mean `weight_decay`"),
        (lambda net: net.tail, "failed: AttributeError"),
    ],
)
def test_what_is_no_group_of_the_students_parameters_is_refused(make, message):
    task = Clusters()
    task.parameter_groups = lambda student, lr: make(student)
    with pytest.raises(TaskError, match=message):
        parameter_groups(task, nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Module(), TRAIN)


def test_frozen_parameters_belong_to_no_group_and_may_stand_in_one():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[0].requires_grad_(False)
    task = Clusters()
    for make in (lambda: [{"params": net.parameters()}], lambda: [{"params": net[1].parameters()}]):
        task.parameter_groups = lambda student, lr, make=make: make()
        (group,) = parameter_groups(task, net, nn.Module(), TRAIN)
        assert [id(p) for p in group["params"]] == [id(p) for p in net[1].parameters()]
