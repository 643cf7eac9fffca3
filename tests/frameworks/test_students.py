"""Students trained from written files alone, by the frameworks that these are for: each is like the trial's."""

import importlib.util
import math
import re
import sys
from itertools import chain, islice, repeat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_model
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

import mapsearch
from mapsearch.core.errors import ExportError
from mapsearch.exports.frameworks.execute import executed
from mapsearch.exports.inlined.distilled import drawn
from mapsearch.exports.targets import TARGETS
from mapsearch.training.schedule import lr_part

SPREAD = 0.1
"""How far below the worst of the trial's seeds another trainer's order of batches may end."""


@pytest.fixture
def exported(tmp_path):
    """`exported(target, study)` -> the main file of an export of the study's trial."""

    def export(target, study):
        path = tmp_path / f"distil_{target}{TARGETS[target].suffixes[0]}"
        mapsearch.export(study.name, to=target, path=path, trial=study.trial, storage=study.url)
        return path

    return export


def main_of(path: Path):
    module = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location(path.stem, path))
    spec.loader.exec_module(module)
    return module.main


@pytest.mark.parametrize("target", ["transformers", "lightning"])
def test_each_script_alone_trains_a_student_like_the_trials(target, small_study, exported, tmp_path, capsys):
    task, metric = small_study.task, small_study.metric
    main, folder = main_of(exported(target, small_study)), tmp_path / "trained"
    main(folder)
    assert (folder / "cache" / "teacher.pt").exists() == (metric == "cosine")
    told = eval(capsys.readouterr().out.strip().splitlines()[-1], {"nan": float("nan")})
    assert told[metric] >= min(small_study.values) - SPREAD
    if (folder / "student.safetensors").exists():
        assert load_model(task.student(), str(folder / "student.safetensors")) == (set(), [])
    else:
        type(task.student()).from_pretrained(folder)
    weights = next(path for path in folder.iterdir() if path.suffix == ".safetensors").read_bytes()
    main(folder)  # goes on from the last checkpoint, at which nothing is left to do
    assert next(path for path in folder.iterdir() if path.suffix == ".safetensors").read_bytes() == weights


def trained_as_said(file, task, parameters, total):
    """Train parameters as the file says: its optimizer, and by its header steps, batches, schedule and clipping.

    Args:
        total: the loss of a batch, at the fraction of the training that is done.
    """
    said = file.read_text()
    n_steps, batch_size, warmup, schedule, norm = re.search(
        r"trained: (\d+) steps of a batch of (\d+),.* warm-up ([\d.]+), then (\w+), gradient norm at most (\d+)",
        " ".join(said.split()),
    ).groups()
    optimizer = eval(re.search(r"optimizer = (torch.optim.+)", said)[1], {"torch": torch, "parameters": parameters})
    rates = LambdaLR(optimizer, lambda step: lr_part(step, int(n_steps), float(warmup), schedule))
    data, collate = drawn(task, 0)
    loader = DataLoader(
        data, int(batch_size), shuffle=True, drop_last=True, collate_fn=collate,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    for step, batch in enumerate(islice(chain.from_iterable(repeat(loader)), int(n_steps))):
        optimizer.zero_grad()
        total(batch, step / int(n_steps)).backward()
        torch.nn.utils.clip_grad_norm_(parameters, float(norm))
        optimizer.step()
        rates.step()


def by_a_loop(file, task):
    """The student of a plain loop with the file's loss."""
    student, teacher = task.student(), task.teacher().eval()
    loss = executed(file)["DistillationLoss"](student, teacher)

    def total(batch, progress):
        with torch.no_grad():
            taught = task.outputs(task.forward(teacher, batch))
        output = task.forward(student, batch)
        of_task = task.loss(output, batch)
        return loss(
            torch.zeros(()) if of_task is None else of_task, task.outputs(output), taught, mask=task.mask(batch),
            progress=progress,
        )  # fmt: skip

    trained_as_said(file, task, [*student.parameters(), *loss.parameters()], total)
    loss.close()
    return student


def by_modelopt(file, task):
    """The student of a plain loop with ModelOpt's distillation model, which runs the teacher and sums the loss."""
    names = executed(file)
    model = names["build"](task.student(), task.teacher())

    def total(batch, progress):
        of_task = task.loss(task.forward(model, batch), batch)
        return model.compute_kd_loss(student_loss=of_task, mask=task.mask(batch), progress=progress)

    trained_as_said(file, task, list(model.parameters()), total)
    return names["finish"](model)


def by_torchdistill(file, task):
    """The student of torchdistill's own box, driven as its example scripts do, with data and epochs filled in."""
    from torchdistill.common.main_util import import_dependencies
    from torchdistill.common.yaml_util import load_yaml_file
    from torchdistill.core.distillation import get_distillation_box

    config = load_yaml_file(str(file))
    import_dependencies(config["dependencies"])
    train, (data, _) = config["train"], drawn(task, 0)
    loader, kwargs = train["train_data_loader"], train["student"]["auxiliary_model_wrapper"]["kwargs"]
    loader["requires_supp"] = False
    train["num_epochs"] = math.ceil(kwargs["n_batches"] / (len(data) // loader["kwargs"]["batch_size"]))
    student = task.student()
    box = get_distillation_box(task.teacher(), student, {"train": data}, train, torch.device("cpu"), None, False, 1.0)
    for epoch in range(box.num_epochs):
        box.pre_epoch_process(epoch=epoch)
        for batch in box.train_data_loader:
            inputs, targets = (batch, batch["labels"]) if isinstance(batch, dict) else batch
            box.pre_forward_process()
            box.post_forward_process(loss=box.forward_process(inputs, targets, None))
        box.post_epoch_process()
    box.clean_modules()
    return student


LOOPS = {"torch": by_a_loop, "modelopt": by_modelopt, "torchdistill": by_torchdistill}


def trains_like_the_trial(target, study, file):
    torch.manual_seed(0)
    student = LOOPS[target](file, study.task)
    measured = mapsearch.evaluate(study.task, student, batch_size=16)
    return measured[study.metric] >= min(study.values) - SPREAD


def test_a_loop_trains_a_student_like_the_trials(small_study, exported):
    assert trains_like_the_trial("torch", small_study, exported("torch", small_study))


@pytest.mark.parametrize("small_study", ["tuples", "dicts"], indirect=True)
@pytest.mark.parametrize("target", ["modelopt", "torchdistill"])
def test_a_framework_trains_a_student_of_classes_like_the_trials(target, small_study, exported, monkeypatch):
    file = exported(target, small_study)
    monkeypatch.syspath_prepend(file.parent)  # for the plugin of torchdistill
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, f"{file.stem}_plugin", raising=False)
    assert trains_like_the_trial(target, small_study, file)


@pytest.mark.parametrize("small_study", ["embedding", "values"], indirect=True)
@pytest.mark.parametrize("target", ["modelopt", "torchdistill"])
def test_a_framework_that_finds_outputs_itself_refuses_to_match_others_than_classes(target, small_study, exported):
    with pytest.raises(ExportError, match=f"`{target}` cannot express .* not matched as the network gives them"):
        exported(target, small_study)
