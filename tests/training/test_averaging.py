import pytest
import torch
from small_tasks import Block, Clusters, load, make_plans, make_space
from torch import nn

from mapsearch.core.errors import TaskError
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill
from mapsearch.training.averaging import open_average, update_average

PAIR = Recipe(LayerMapping((Pair("blocks.0", "blocks.1", 1.0),)), feature_share=0.5, output_weight=1.0)
TRAIN = TrainSpec(steps=60, batch_size=16, lr=5e-3, warmup=0, schedule="constant")


def test_the_average_is_that_of_the_weights_and_buffers():
    student = Block(4, 0.0)
    average, expected = open_average(student), None
    for step in range(40):
        with torch.no_grad():
            for tensor in (*student.parameters(), student.norm.running_mean):
                tensor.normal_()
        update_average(average, student, 0.8, step)
        weight = student.linear.weight.detach().clone()
        decay = min(0.8, (1 + step) / (10 + step))
        expected = weight if expected is None else decay * expected + (1 - decay) * weight
    assert torch.allclose(average.module.linear.weight, expected, atol=1e-6)
    assert not torch.equal(average.module.norm.running_mean, student.norm.running_mean)
    assert not any(parameter.requires_grad for parameter in average.parameters())


def results(train, *recipes):
    loaded = load(Clusters())
    events = distill(loaded, make_space(loaded), train, make_plans(*recipes, n_steps=60))
    return [event for event in events if isinstance(event, RunResult)]


def test_the_average_is_measured_and_training_goes_on_as_without():
    averaged = TRAIN.model_copy(update={"ema": 0.99})
    (plain,), (ema,), (again,) = results(TRAIN, PAIR), results(averaged, PAIR), results(averaged, PAIR)
    assert plain.state == ema.state == "complete"
    assert ema.curve == plain.curve
    assert ema.metrics != plain.metrics
    assert ema.metrics == again.metrics


def test_in_a_cohort_the_average_is_as_alone():
    averaged = TRAIN.model_copy(update={"ema": 0.9})
    together = [run.metrics for run in results(averaged, PAIR, Recipe())]
    assert together == [results(averaged, recipe)[0].metrics for recipe in (PAIR, Recipe())]


def test_without_change_the_average_is_the_student():
    frozen = TRAIN.model_copy(update={"ema": 0.9, "lr": 1e-30, "weight_decay": 0.0})
    plain = frozen.model_copy(update={"ema": None})
    assert results(frozen, PAIR)[0].metrics["loss"] == pytest.approx(results(plain, PAIR)[0].metrics["loss"], rel=0.05)


def test_a_student_that_cannot_be_copied_says_so():
    class Whole(nn.Module):
        def __deepcopy__(self, memo):
            raise RuntimeError("there is one of me")

    with pytest.raises(TaskError, match=r"`train.ema`.*there is one of me"):
        open_average(Whole())
