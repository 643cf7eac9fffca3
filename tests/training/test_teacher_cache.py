import torch
from small_tasks import Clusters, Points, load, make_plans, make_space

from mapsearch.core.recipe import Recipe
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill, open_worker_state
from mapsearch.features.cache import FeatureCache
from mapsearch.tasks.loading_ahead import Drawn
from mapsearch.tasks.sample_digests import KnownDigests
from mapsearch.training.teacher_cache import TeacherCache


def cache(n=4, budget=2**20):
    return TeacherCache(FeatureCache(n, budget, torch.device("cpu")), KnownDigests(n))


def test_the_teacher_runs_once_for_a_sample_and_again_when_it_changes():
    kept, runs = cache(), []

    def outputs(x):
        def run():
            runs.append(len(runs))
            return {"a": x + 1}

        return kept.outputs(["a"], Drawn((x,), 2, (3, 1)), run)["a"]

    x = torch.rand(2, 3)
    assert torch.equal(outputs(x), outputs(x))
    assert runs == [0]
    assert torch.equal(outputs(x * 2), x * 2 + 1)
    assert runs == [0, 1]


def test_what_does_not_fit_is_asked_anew():
    kept, x = cache(budget=1), torch.rand(2, 3)
    for _ in range(2):
        assert torch.equal(kept.outputs(["a"], Drawn((x,), 2, (0, 1)), lambda: {"a": x})["a"], x)
    assert set(kept.features.refused) == {"a"}


class Late(Points):
    """Samples that begin to change after 500 looks, which no look beforehand can tell."""

    n_looks = 0

    def __getitem__(self, i):
        self.n_looks += 1
        x, y = super().__getitem__(i)
        return x + self.n_looks * (self.n_looks > 500), y


class Lately(Clusters):
    def train_data(self):
        return Late(128, 1)


def test_samples_that_begin_to_change_are_said_to():
    train = TrainSpec(steps=60, batch_size=16)
    loaded = load(Lately())
    state = open_worker_state(loaded, train)
    assert state.cache is not None
    plans = make_plans(Recipe(output_weight=1.0), n_steps=60)
    events = list(distill(loaded, make_space(loaded), train, plans, state))
    assert "come out different" in " ".join(getattr(event, "text", "") for event in events)
