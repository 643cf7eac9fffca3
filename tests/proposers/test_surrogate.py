import numpy as np
import pytest

from mapsearch.proposers import surrogate
from mapsearch.proposers.candidates import Candidate, Settings
from mapsearch.proposers.surrogate import Kernel, Points, fitted, points

SETTINGS = Settings(0.5, "nmse", "linear", "sum", "frozen", 1.0, 1.0)


def candidate(*rows, n_teacher=8, **settings):
    weights = np.zeros((len(rows), n_teacher))
    for s, layers in enumerate(rows):
        weights[s, list(layers)] = 1.0
    return Candidate(weights, SETTINGS._replace(**settings), "free")


def alike(one, other, kernel):
    return float(kernel.between(points([one]), points([other]))[0, 0])


KERNEL = Kernel(0.1, 0.4, 0.2)


def test_mappings_are_alike_whose_layers_are_near():
    here, near, far = candidate([1], [3], [5]), candidate([1], [3], [6]), candidate([1], [3], [0])
    assert alike(here, here, KERNEL) > alike(here, near, KERNEL) > alike(here, far, KERNEL)


def test_a_setting_counts_alone_and_with_the_others():
    here = candidate([1], [3])
    one, two = candidate([1], [3], loss="cosine"), candidate([1], [3], loss="cosine", lr_factor=3.0)
    assert alike(here, here, KERNEL) > alike(here, one, KERNEL) > alike(here, two, KERNEL)


@pytest.mark.parametrize("kernel", [KERNEL, Kernel(0.2, 1.0, 0.4)])
def test_the_diagonal_is_what_between_has_there(kernel):
    several = points([candidate([1], [3], [5]), candidate([0, 7], [], [2]), candidate([1], [1], [1], loss="cosine")])
    assert kernel.own(several) == pytest.approx(kernel.between(several, several).diagonal())


def test_a_model_knows_what_it_was_told_and_is_unsure_elsewhere():
    told = [candidate([t], [t]) for t in range(6)]
    model = fitted(points(told), np.linspace(-1.5, 1.5, 6))
    expected, deviation = model.predict(points([*told, candidate([7], [0])]))
    assert (np.diff(expected[:6]) > 0).all()
    assert model.expected_of_told() == pytest.approx(expected[:6])
    assert deviation[6] > 1.2 * deviation[:6].max()


def test_of_many_values_a_part_chooses_the_kernel_and_all_are_learned(monkeypatch):
    told = points([candidate([s], [t]) for s in range(8) for t in range(8)])
    values = np.sin(np.arange(64.0))
    monkeypatch.setattr(surrogate, "MOST_WEIGHED", 20)
    model = fitted(told, values)
    assert len(model.told.mappings) == len(model.values) == 64
    part = fitted(Points(*(x[::4] for x in told)), values[::4])
    assert (model.kernel, model.noise) == (part.kernel, part.noise)


def test_believing_what_trains_leaves_expectations_and_shrinks_doubt():
    told, waiting = [candidate([t], [t]) for t in range(4)], points([candidate([6], [6])])
    model = fitted(points(told), np.array([-1.0, -0.5, 0.5, 1.0]))
    before, after = model.predict(waiting), model.believing(waiting).predict(waiting)
    assert after[0] == pytest.approx(before[0], abs=0.3)
    assert after[1] < before[1]
