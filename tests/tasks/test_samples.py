import pytest
import torch
from small_tasks import Clusters, load, make_plans, make_space
from torch.utils.data import Subset

from mapsearch.core.errors import TaskError
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill, open_worker_state
from mapsearch.tasks.samples import redraws, training_samples

TRAIN = TrainSpec(steps=12, batch_size=16)


class Drawn(Clusters):
    """20 of its samples, others for each seed."""

    def train_data(self, seed=0, n=20):
        order = torch.randperm(128, generator=torch.Generator().manual_seed(seed))
        return Subset(super().train_data(), order[:n].tolist())


def curves(loaded, *seeds):
    space, state, found = make_space(loaded), open_worker_state(loaded, TRAIN), []
    for seed in seeds:
        plans = make_plans(Recipe(output_weight=1.0), Recipe(), seed=seed)
        found.append([e.curve for e in distill(loaded, space, TRAIN, plans, state) if isinstance(e, RunResult)])
    return found


def test_a_seed_draws_its_own_samples_and_the_same_ones_again():
    task = Drawn()
    assert redraws(task)
    first, other, again = (training_samples(task, seed).indices for seed in (1, 2, 1))
    assert first == again != other


def test_samples_that_all_seeds_share_are_left_alone():
    loaded = load(Clusters())
    assert not loaded.redraws
    assert loaded.drawn(5) is loaded


def test_runs_train_on_the_draw_of_their_seed_and_never_on_another_ones_teacher():
    first, other, again = curves(load(Drawn()), 1, 2, 1)
    assert first == again != other
    assert curves(load(Drawn()), 1)[0] == first
    assert open_worker_state(load(Drawn()), TRAIN).cache is None


def test_too_small_a_draw_is_refused():
    class Few(Drawn):
        def train_data(self, seed=0, n=20):
            return super().train_data(seed, 7 if seed else 20)

    with pytest.raises(TaskError, match="at least 8 samples, but got 7"):
        load(Few()).drawn(1)
