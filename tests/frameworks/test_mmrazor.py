"""MMRazor computes what the exported recipe says."""

import sys

import pytest
import torch
from torch.utils.data import DataLoader

from mapsearch.core.errors import ExportError
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.exports.attached import AttachedRecipe
from mapsearch.exports.mmrazor import CAPABILITY
from mapsearch.exports.mmrazor_run import without_quantisation
from mapsearch.exports.targets import write
from mapsearch.losses.recipe_loss import RecipeLoss
from mapsearch.tasks.batches import train_batches

ON_MAPS = [loss for loss in sorted(CAPABILITY.losses) if LOSS_TRAITS[loss].compares != "tokens"]
RECIPES = [
    *({"task": "images", "loss": loss} for loss in ON_MAPS),
    *({"task": "images", "logit_loss": logit} for logit in sorted(CAPABILITY.logit_losses)),
    *({"task": "images", "aggregation": aggregation} for aggregation in ("fuse", "mix")),
    {"task": "images", "projector": "mlp", "task_weight": 0.5, "anneal": None},
    {"task": "images", "feature_share": 1.0},
    {"task": "images", "pairs": False},
    {"task": "images", "loss": "attention", "logit_weight": 0.0},
]
WITH_TOKENS = [
    *({"task": "tags", "loss": loss} for loss in sorted(CAPABILITY.losses)),
    *({"task": task} for task in ("patches", "bert", "llama")),
]


def name(recipe):
    return "-".join(str(value) for value in recipe.values())


@pytest.mark.parametrize("recipe", RECIPES, ids=name)
def test_it_gives_the_loss_and_gradient_of_the_trial(recipe, distilled, verified):
    report = verified("mmrazor", distilled(**recipe))
    assert report.loss_exported == pytest.approx(report.loss_in_trial, rel=1e-5)


@pytest.mark.parametrize("recipe", WITH_TOKENS, ids=name)
def test_tokens_are_matched_with_their_padding(recipe, distilled, verified):
    assert verified("mmrazor", distilled(**recipe), lossy=True).equal


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("", '["blocks.2"]', '["blocks.1"]', "the loss of the recipe and of the file"),
        ("", '["blocks.2"]', '["blocks.7"]', "the teacher has no layer `blocks.7`"),
        ("", "task_multiplier=0.3", "task_multiplier=0.4", "the loss of the recipe and of the file"),
        ("", "anneal=0.5", "anneal=0.9", "the half-faded loss of the recipe and of the file"),
        ("", "temperature=3.0", "temperature=2.0", "the loss of the recipe and of the file"),
        ("", "student_width=4", "student_width=5", "the projectors must have the shapes"),
        ("", "MapsearchLogitLoss", "KLDivergence", "cannot be loaded and run: "),
        ("_plugin", 'reduction="sum"', 'reduction="mean"', "the loss of the recipe and of the file"),
    ],
)
def test_an_edited_file_is_caught(file, old, new, message, distilled, verified):
    def change(path):
        edited = path.with_name(f"{path.stem}{file}.py")
        text = edited.read_text()
        assert old in text
        edited.write_text(text.replace(old, new))

    with pytest.raises(ExportError, match=message):
        verified("mmrazor", distilled("images"), change)


def test_the_whole_config_trains_student_and_projectors(distilled, tmp_path, monkeypatch):
    """As in MMRazor: the config merged into one with networks, built, and run by mmengine for as many steps."""
    study = distilled("images")
    write("mmrazor", study.source, tmp_path / "distill.py")
    text = (tmp_path / "distill.py").read_text()
    (tmp_path / "distill.py").write_text(
        text.replace('"head.fc"', '"network.head"').replace('["blocks', '["network.blocks')
    )
    (tmp_path / "mine.py").write_text('_base_ = ["distill.py"]\nmodel = dict(teacher_ckpt=None)\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    without_quantisation()
    from mmengine.config import Config
    from mmengine.model import BaseModel
    from mmengine.runner import Runner
    from mmrazor.registry import MODELS

    class Classifier(BaseModel):
        """A network of ours as OpenMMLab has them."""

        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, inputs, data_samples=None, mode="loss"):
            return {"loss": study.loaded.task.loss(self.network(inputs), (inputs, data_samples))}

    config = Config.fromfile(str(tmp_path / "mine.py"))
    student = study.loaded.new_student(4)
    config.model.update(architecture=Classifier(student), teacher=Classifier(study.loaded.teacher))
    model = MODELS.build(config.model)
    model.train()
    assert not model.teacher.network.drop.training
    parts = {name: part.clone() for name, part in model.distiller.distill_losses.state_dict().items()}
    batches = list(train_batches(study.loaded, 8, 4, 6))
    torch.manual_seed(0)  # of dropout
    assert model.parse_losses(model.loss(*batches[0]))[0].item() == pytest.approx(ours(study, model, batches[0]))

    data = DataLoader([{"inputs": x, "data_samples": y} for x, y in batches], batch_size=None)
    runner = Runner(
        model, work_dir=str(tmp_path / "runs"), train_dataloader=data, train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}}, custom_hooks=config.custom_hooks,
        default_hooks={"checkpoint": None, "logger": None, "sampler_seed": None}, experiment_name="run",
    )  # fmt: skip
    runner.train()
    assert not any(torch.equal(part, parts[name]) for name, part in model.distiller.distill_losses.state_dict().items())
    assert {loss.progress for key, loss in model.distiller.distill_losses.items() if "term" in key} == {5 / 6}
    study.loaded.new_student(1).load_state_dict(student.state_dict(), strict=True)


def ours(study, model, batch):
    """The recipe's loss with the networks and projectors of the model."""
    loss = RecipeLoss(study.source.recipe, study.space.student, study.space.teacher)
    loss.restore(study.source.scales, study.source.norms)
    for mine, theirs in zip(loss.parameters(), model.distiller.parameters(), strict=True):
        mine.data.copy_(theirs)
    student, teacher = model.student.network, model.teacher.network
    attached = AttachedRecipe(loss, student, teacher)
    torch.manual_seed(0)
    logits, taught = student(batch[0]), teacher(batch[0])
    total = attached(study.loaded.task.loss(logits, batch), logits, taught)
    attached.close()
    return total.item()
