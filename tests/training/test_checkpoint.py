"""The state of a training is plain data and tensors, and brings back all that the next step depends on."""

import io

import torch
from small_tasks import Clusters, every_recipe, load, make_plans, make_space

from mapsearch.core.train_spec import TrainSpec
from mapsearch.training.checkpoint import PLAIN, restore_training, training_state
from mapsearch.training.student import open_student


def test_the_state_is_read_safely_and_brings_everything_back():
    loaded, train = load(Clusters()), TrainSpec(steps=5, batch_size=16, ema=0.9)
    space = make_space(loaded)
    (plan,) = make_plans(every_recipe(space)[-1])
    some, other = (open_student(loaded, space, train, plan, torch.contiguous_format) for _ in range(2))
    for parameter in some.parameters:
        parameter.grad = torch.ones_like(parameter)
    some.optimizer.step()
    some.terms, some.curve, some.first_loss, some.overwritten = ("task", "a"), [(1, 2.0)], 3.0, ("x",)
    some.recent.append(torch.arange(3.0))
    file = io.BytesIO()
    torch.save(training_state(some), file)
    file.seek(0)
    restore_training(other, torch.load(file, weights_only=True))
    for name in PLAIN:
        assert getattr(other, name) == getattr(some, name)
    assert torch.equal(other.recent[0], some.recent[0])
    for a, b in ((some.student, other.student), (some.loss, other.loss), (some.average, other.average)):
        assert all(torch.equal(x, b.state_dict()[name]) for name, x in a.state_dict().items())
    for a, b in zip(some.optimizer.state.values(), other.optimizer.state.values(), strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)
