"""Planted cases: where some layers teach and others do not, the search finds them; where none differs, it says so.

The teacher's answer and its features are made by hand. A `useful` layer gives what the labels are made of; a `noise`
layer gives a function of the input that looks random and that nothing can learn. Seeds are fixed, so that a test
says the same on every day; all bounds were chosen before the seeds were looked at.
"""

import pytest

from mapsearch.controller.run import run_study
from mapsearch.core.study_file import load_study
from mapsearch.store.store import Store

pytestmark = pytest.mark.slow

TASK = '''
import torch
from torch import nn
from torch.utils.data import TensorDataset

import mapsearch


class Useful(nn.Module):
    def __init__(self):
        super().__init__()
        self.turn, self.mix = nn.Linear(3, 3, bias=False), nn.Linear(32, 3, bias=False)
        nn.init.orthogonal_(self.turn.weight)  # each layer in axes of its own

    def forward(self, x, h):
        return self.turn(h)


class Noise(Useful):
    def forward(self, x, h):
        return torch.sin(300.0 * self.mix(x))


class Teacher(nn.Module):
    def __init__(self, kinds):
        super().__init__()
        self.inner, self.head = nn.Linear(32, 3), nn.Linear(3, 4)
        self.layers = nn.ModuleList({"u": Useful, "n": Noise}[kind]() for kind in kinds)

    def forward(self, x):
        h = torch.tanh(self.inner(x))
        for layer in self.layers:
            layer(x, h)
        return self.head(h)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return x + torch.tanh(self.linear(x))


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(32, 12)
        self.blocks = nn.Sequential(Block(12), Block(12))
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))


class Planted(mapsearch.Task):
    """Of 512 samples in 32 dimensions 24 are labelled: too few to see which three directions count."""

    def __init__(self, kinds="uuuu", seed=0):
        self.kinds, self.seed = kinds, seed

    def teacher(self):
        torch.manual_seed(self.seed)
        teacher = Teacher(self.kinds)
        with torch.no_grad():
            teacher.head.bias -= teacher(torch.randn(1000, 32)).mean(0)
        return teacher

    def student(self):
        return Student()

    def points(self, n, seed, n_labels=None):
        x = torch.randn(n, 32, generator=torch.Generator().manual_seed(1000 * self.seed + seed))
        with torch.no_grad():
            y = self.teacher()(x).argmax(1)
        y[n_labels:] = y[n_labels:] if n_labels is None else -100
        return TensorDataset(x, y)

    def train_data(self):
        return self.points(512, 1, 24)

    def valid_data(self):
        return self.points(512, 2)

    def test_data(self):
        return self.points(512, 3)
'''

STUDY = """
name: planted
task: task.py:Planted
options: {{kinds: {kinds}, seed: {seed}}}
seed: {seed}
train: {{steps: {steps}, batch_size: 32, lr: 0.03}}
execution: {{devices: cpu}}
layers: {{teacher: ["layers.*"], student: ["blocks.*"]}}
similarity: {{samples: 512}}
space:
  {{loss: [nmse], feature_share: [0.5, 0.9], output_weight: [0.01], temperature: [2.0], task_weight: [1.0], lr: [1.0]}}
search: {{trials: {trials}, rungs: {rungs}}}
confirm: {{finalists: 1, seeds: 6, context_seeds: 0}}
"""


@pytest.fixture
def planted(tmp_path):
    """`planted(kinds, seed, ...)` -> the verdict and the trials of a study whose teacher has layers of these kinds."""

    def study(kinds, seed, *, steps, trials, rungs="[0.3, 0.6, 1.0]"):
        folder = tmp_path / f"{kinds}{seed}"
        folder.mkdir()
        (folder / "task.py").write_text(TASK)
        file = folder / "study.yaml"
        file.write_text(STUDY.format(kinds=kinds, seed=seed, steps=steps, trials=trials, rungs=rungs))
        url = f"sqlite:///{folder / 'study.db'}"
        verdict = run_study(load_study(file), url, inline=True)
        with Store.open(url) as store:
            return verdict, store.trials("planted")

    return study


def useful_share(trials, kinds):
    """Of the weight of these recipes, the part that lies on useful layers."""
    pairs = [pair for trial in trials for pair in trial.recipe.mapping.normalised().pairs]
    useful = sum(pair.weight for pair in pairs if kinds[int(pair.teacher.rpartition(".")[2])] == "u")
    return useful / sum(pair.weight for pair in pairs)


@pytest.mark.parametrize(("kinds", "seed"), [("nunnun", 1), ("unnnnn", 3)])
def test_useful_layers_come_to_the_top(planted, kinds, seed):
    verdict, trials = planted(kinds, seed, steps=80, trials=24, rungs="[0.5, 0.6, 1.0]")
    searched = [t for t in trials if t.proposer != "matched" and t.value is not None and t.recipe.mapping.pairs]
    ranked = sorted(searched, key=lambda t: -t.value)
    quarter = len(ranked) // 4
    top, bottom = useful_share(ranked[:quarter], kinds), useful_share(ranked[-quarter:], kinds)
    nominee = useful_share([t for t in trials if t.number == verdict.nominee], kinds)
    by_chance = kinds.count("u") / len(kinds)
    assert top > by_chance
    assert top > bottom
    assert nominee > by_chance


@pytest.mark.parametrize("seed", range(3))
def test_equivalent_layers_never_beat_uniform(planted, seed):
    verdict, _ = planted("uuuuuu", seed, steps=40, trials=8)
    assert "BEATS" not in [row.outcome for row in verdict.against if row.control == "uniform"]


def test_of_eight_null_studies_at_most_one_beats_a_feature_control(planted):
    false = []
    for seed in range(8):
        verdict, _ = planted("nnnn", 100 + seed, steps=40, trials=3)
        beaten = [a.control for a in verdict.against if a.outcome == "BEATS"]
        beaten = [name for name in beaten if name not in ("none", "outputs")]
        false += [(seed, beaten)] if beaten else []
    assert len(false) <= 1
