"""Small studies that were run to their end, and what a user would export of them."""

from dataclasses import dataclass
from typing import Any

import pytest
import study_fixtures

import mapsearch
from mapsearch.api.queries import read
from mapsearch.core.study_file import load_study
from mapsearch.exports.source import export_source
from mapsearch.tasks.importing import import_task
from mapsearch.tasks.task import Task

KINDS = '''
import torch
import torch.nn.functional as F
from task import Clusters, Net, points, taught
from torch.utils.data import DataLoader, TensorDataset


class Vectors(Clusters):
    """The scores as embeddings, without labels or a loss; its data come in a loader, its teacher from disk."""

    def __init__(self):
        self.kept = self.cache_dir / "teacher.pt"

    def teacher(self):
        if not self.kept.exists():
            torch.save(super().teacher().state_dict(), self.kept)
        teacher = Net(16, self.teacher_depth)
        teacher.load_state_dict(torch.load(self.kept))
        return teacher

    def train_data(self):
        return DataLoader(super().train_data(), 16, collate_fn=lambda samples: [torch.stack(x) for x in zip(*samples)])

    def labels(self, batch):
        return None

    def loss(self, output, batch):
        return None


class Numbers(Clusters):
    """The networks' scores as three values a sample, one of them 1 and the others 0."""

    def train_data(self):
        return self.with_values(points(128, 1))

    def valid_data(self):
        return self.with_values(points(256, 2))

    def test_data(self):
        return self.with_values(points(256, 3))

    def with_values(self, data):
        x, y = data.tensors
        return TensorDataset(x, F.one_hot(y, 3).float())

    def teacher(self):
        return taught(Net(16, self.teacher_depth), *self.with_values(points(256, 9)).tensors, F.mse_loss)
'''

TEXTS = '''
import torch
from transformers import BertConfig, BertForSequenceClassification

import mapsearch


class Texts(mapsearch.Task):
    """The first token says the class."""

    def teacher(self):
        torch.manual_seed(0)
        teacher = self.bert(16, 3)
        optimizer = torch.optim.Adam(teacher.parameters(), 0.01)
        batch = torch.utils.data.default_collate(self.train_data())
        for _ in range(30):
            optimizer.zero_grad()
            teacher(**batch).loss.backward()
            optimizer.step()
        return teacher

    def student(self):
        return self.bert(8, 2)

    def train_data(self, n=96):
        generator = torch.Generator().manual_seed(n)
        ids, labels = torch.randint(6, 200, (n, 6), generator=generator), torch.arange(n) % 3
        ids[:, 0] = labels + 3
        mask = (torch.arange(6) < torch.arange(n)[:, None] % 4 + 3).long()
        rows = zip(ids * mask, mask, labels)
        return [{"input_ids": i, "attention_mask": m, "labels": y} for i, m, y in rows]

    def valid_data(self):
        return self.train_data(64)

    @staticmethod
    def bert(width, depth):
        return BertForSequenceClassification(
            BertConfig(
                vocab_size=200, hidden_size=width, num_hidden_layers=depth, num_attention_heads=2,
                intermediate_size=2 * width, max_position_embeddings=8, num_labels=3, attn_implementation="eager",
            )
        )
'''

SHORT = {"search": {"trials": 2}, "confirm": {"seeds": 4}, "train": {"steps": 60}}
CHANGES: dict[str, dict[str, Any]] = {
    "tuples": SHORT,
    "dicts": {**SHORT, "task": "texts.py:Texts"},
    "embedding": {**SHORT, "task": "kinds.py:Vectors", "outputs": "embedding", "metric": "cosine"},
    "values": {**SHORT, "task": "kinds.py:Numbers", "outputs": "values", "metric": "r2"},
}
"""What each differs in: two towers of clusters whose outputs are of several kinds, and texts for models of Hugging
Face."""


@dataclass(frozen=True)
class SmallStudy:
    """A finished study, and its trial of the control `uniform`, which has features."""

    name: str
    url: str
    task: Task
    metric: str
    trial: int
    values: tuple[float, ...]
    """Of the trial's runs, as the header of an export has them."""


@pytest.fixture(scope="session", params=CHANGES)
def small_study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SmallStudy:
    """Each of them; a test that takes some only names them by `parametrize(..., indirect=True)`."""
    folder = tmp_path_factory.mktemp(request.param)
    file, url = study_fixtures.write(folder, **CHANGES[request.param]), f"sqlite:///{folder / 'study.db'}"
    (folder / "kinds.py").write_text(KINDS)
    (folder / "texts.py").write_text(TEXTS)
    spec = load_study(file)
    mapsearch.run_study(spec, url, inline=True)
    study, trials, runs = read("tiny", url)
    task = import_task(spec.task_reference(folder))
    task.output_form = study.facts.outputs
    uniform = next(trial.number for trial in trials if trial.control == "uniform")
    values = export_source(study, trials, runs, uniform).values
    return SmallStudy("tiny", url, task, spec.metric, uniform, values)
