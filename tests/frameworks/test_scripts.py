"""Written files that train: each of them alone gives a student like the trial's."""

import importlib.util
import re
from itertools import chain, islice, repeat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_model
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

import mapsearch
from mapsearch.api.queries import read
from mapsearch.core.study_file import load_study
from mapsearch.exports.frameworks.execute import executed
from mapsearch.exports.inlined.distilled import drawn
from mapsearch.tasks.importing import import_task
from mapsearch.training.schedule import lr_part

SPREAD = 0.1
"""How far below the worst of the trial's seeds another trainer's order of batches may end."""

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


@pytest.fixture(params=["tuples", "dicts", "embedding", "values"])
def study(request, tmp_path, spec, write_study, url):
    """(name, storage, task, metric) of a finished study: of two towers of clusters whose outputs are of several kinds,
    and of texts for models of Hugging Face.
    """
    metric = {"embedding": "cosine", "values": "r2"}.get(request.param, "accuracy")
    if request.param in ("embedding", "values"):
        kind = {"embedding": "Vectors", "values": "Numbers"}[request.param]
        file = write_study(
            task=f"kinds.py:{kind}", outputs=request.param, metric=metric, search={"trials": 2}, train={"steps": 60}
        )
        (file.parent / "kinds.py").write_text(KINDS)
    elif request.param == "dicts":
        file = write_study(task="texts.py:Texts", search={"trials": 2}, confirm={"seeds": 4}, train={"steps": 40})
        (file.parent / "texts.py").write_text(TEXTS)
    else:
        file = write_study()
    loaded = load_study(file)
    mapsearch.run_study(loaded, url, inline=True)
    task = import_task(loaded.task_reference(tmp_path))
    task.output_form = read("tiny", url)[0].facts.outputs
    return "tiny", url, task, metric


def main_of(path: Path):
    module = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location(path.stem, path))
    spec.loader.exec_module(module)
    return module.main


def by_a_loop(file, task):
    """Train a student as the file's docstring says, with its loss and its optimizer; its metrics."""
    names, said = executed(file), file.read_text()
    n_steps, batch_size, warmup, schedule = re.search(
        r"trained: (\d+) steps of a batch of (\d+),.* warm-up ([\d.]+),\s+then (\w+)", said, re.DOTALL
    ).groups()
    student, teacher = task.student(), task.teacher().eval()
    loss = names["DistillationLoss"](student, teacher)
    parameters = [*student.parameters(), *loss.parameters()]
    optimizer = eval(re.search(r"optimizer = (torch.optim.+)", said)[1], {"torch": torch, "parameters": parameters})
    rates = LambdaLR(optimizer, lambda step: lr_part(step, int(n_steps), float(warmup), schedule))
    data, collate = drawn(task, 0)
    loader = DataLoader(
        data, int(batch_size), shuffle=True, drop_last=True, collate_fn=collate,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    batches = chain.from_iterable(repeat(loader))
    for step, batch in enumerate(islice(batches, int(n_steps))):
        with torch.no_grad():
            taught = task.outputs(task.forward(teacher, batch))
        output = task.forward(student, batch)
        of_task = task.loss(output, batch)
        total = loss(
            torch.zeros(()) if of_task is None else of_task, task.outputs(output), taught, mask=task.mask(batch),
            progress=step / int(n_steps),
        )  # fmt: skip
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        rates.step()
    loss.close()
    return mapsearch.evaluate(task, student, batch_size=int(batch_size))


def test_each_file_alone_trains_a_student_like_the_trials(study, tmp_path, capsys):
    name, url, task, metric = study
    _, trials, runs = read(name, url)
    uniform = next(t.number for t in trials if t.control == "uniform")
    files = {target: tmp_path / f"distil_{target}.py" for target in ("torch", "transformers", "lightning")}
    for target, file in files.items():
        mapsearch.export(name, to=target, path=file, trial=uniform, storage=url)
    worst = min(run.value for run in runs if run.trial == uniform and run.value is not None)
    assert by_a_loop(files.pop("torch"), task)[metric] >= worst - SPREAD
    for target, file in files.items():
        main, folder = main_of(file), tmp_path / target
        main(folder)
        assert (folder / "cache" / "teacher.pt").exists() == (metric == "cosine")
        told = eval(capsys.readouterr().out.strip().splitlines()[-1], {"nan": float("nan")})
        assert told[metric] >= worst - SPREAD
        if (folder / "student.safetensors").exists():
            assert load_model(task.student(), str(folder / "student.safetensors")) == (set(), [])
        else:
            type(task.student()).from_pretrained(folder)
        weights = next(path for path in folder.iterdir() if path.suffix == ".safetensors").read_bytes()
        main(folder)  # goes on from the last checkpoint, at which nothing is left to do
        assert next(path for path in folder.iterdir() if path.suffix == ".safetensors").read_bytes() == weights
