"""DistillKit's YAML: by its rules on real networks, and in DistillKit itself where a checkout of it is installed."""

import copy
from dataclasses import replace
from importlib.util import find_spec
from typing import Literal

import pytest
import torch
import yaml
from exported_recipes import replaced
from exports.conftest import MAPPINGS, TASKS
from pydantic import BaseModel, ConfigDict

from mapsearch.core.errors import ExportError
from mapsearch.exports.capability import restricted_to
from mapsearch.exports.frameworks.attached import AttachedRecipe, ExportedBatch
from mapsearch.exports.frameworks.table import FRAMEWORKS
from mapsearch.exports.render.distillkit import TARGET
from mapsearch.exports.write import write
from mapsearch.losses.recipe_loss import RecipeLoss
from mapsearch.tasks.training_batches import train_batches


class Deeper(TASKS["llama"]):
    """Its second layer is not the last, whose output is no hidden state."""

    def student(self):
        return self.llama(8, 3)


class Wider(Deeper):
    """As wide as the teacher."""

    def student(self):
        return self.llama(16, 3)


TASKS |= {"deeper": Deeper, "wider": Wider}
MAPPINGS |= {
    name: [
        ("model.layers.0", "model.layers.0", 1.0),
        ("model.layers.0", "model.layers.1", 0.25),
        ("model.layers.1", "model.layers.2", 0.5),
    ]
    for name in ("deeper", "wider")
}
RECIPES = [
    {"task": "deeper", "loss": "mse"},
    {"task": "deeper", "loss": "cosine", "output_weight": 0.0},
    {"task": "wider", "loss": "mse"},
    {"task": "wider", "loss": "cosine", "projector": "none"},
    {"task": "bert", "loss": "mse", "feature_share": 1.0},
    {"task": "deeper", "pairs": False},
]
recipes = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: "-".join(map(str, recipe.values())))


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Function(Strict):
    function: Literal["cross_entropy", "kl", "hs_cosine", "hs_mse"]
    weight: float
    temperature: float | None = None


class Teacher(Strict):
    kind: Literal["hf"]
    path: str


class Folder(Strict):
    disk_path: str


class Dataset(Strict):
    train_dataset: Folder


class Run(Strict):
    """The keys of a run that we write, as DistillKit's own schema has them (commit a61c2e7)."""

    model: str
    teacher: Teacher
    dataset: Dataset
    output_path: str
    sequence_length: int
    loss_functions: list[Function]
    layer_mapping: list[tuple[int, int]] | None = None
    force_hidden_state_projection: bool = False
    training_args: dict[str, int]


def total_of(run, loss, student, teacher, mask, projections):
    """DistillKit's rule: functions by weight, hidden states as the mean over pairs; not yet divided by the weights."""
    real, total = mask.float(), torch.zeros(())
    for each in run.loss_functions:
        if each.function == "cross_entropy":
            value = loss
        elif each.function == "kl":
            s, t = (torch.log_softmax(x.logits / each.temperature, -1) for x in (student, teacher))
            value = each.temperature**2 * ((t.exp() * (t - s)).sum(-1) * real).sum() / real.sum()
        else:
            values = []
            for place, (i, j) in enumerate(run.layer_mapping):
                s, t = student.hidden_states[i], teacher.hidden_states[j]
                s = s @ projections[place].T if projections else s
                gap = (s - t).square().mean(-1) if each.function == "hs_mse" else 1 - torch.cosine_similarity(s, t, -1)
                values.append((gap * real).sum() / real.sum())
            value = torch.stack(values).mean()
        total = total + each.weight * value
    return total


@recipes
def test_by_its_rules_the_file_gives_the_loss_of_the_recipe_as_it_can_be_expressed(recipe, distilled, tmp_path):
    study = distilled(**recipe)
    write("distillkit", study.source, tmp_path / "run.yaml", lossy=True)
    run, loaded = Run(**yaml.safe_load((tmp_path / "run.yaml").read_text())), study.loaded
    # a copy: once asked for hidden states, transformers leaves its hooks in a network
    loaded = replace(loaded, teacher=copy.deepcopy(loaded.teacher))
    told = restricted_to(study.source, TARGET.capability)
    ours = RecipeLoss(told.recipe, study.space.student, study.space.teacher, told.seed)
    ours.restore(told.scales, told.norms)
    FRAMEWORKS["distillkit"].adapt(ours)
    student, batch = loaded.new_student(0).eval(), next(train_batches(loaded, 8, 0, 1))
    attached, mask = AttachedRecipe(ours, student, loaded.teacher), loaded.task.mask(batch)
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    with torch.no_grad():
        t, s = (model(**inputs, output_hidden_states=True) for model in (loaded.teacher, student))
        task_loss = loaded.task.loss(s, batch)
        wanted = attached(ExportedBatch(task_loss, s.logits, t.logits, mask))
        total = total_of(run, task_loss, s, t, mask, list(ours.projectors.parameters()))
    attached.close()
    assert float(total) == pytest.approx(float(wanted), rel=1e-5)


needs_distillkit = pytest.mark.skipif(
    find_spec("distillkit") is None, reason="no checkout of DistillKit is installed, and there is no package of it"
)


@needs_distillkit
@recipes
def test_its_own_functions_give_the_loss_of_the_recipe(recipe, distilled, verified):
    assert verified("distillkit", distilled(**recipe), lossy=True).differences == ()


@needs_distillkit
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("- [2, 3]", "- [2, 2]", "the loss of the recipe and of the file must be equal"),
        ("- [2, 3]", "- [2, 9]", "IndexError: tuple index out of range"),
        ("hs_mse", "hs_cosine", "the loss of the recipe and of the file must be equal"),
        ("hs_mse", "hs_msse", "Input should be 'cross_entropy', "),
        ("temperature: 3.0", "temperature: 2.0", "of the recipe and of the file must be equal"),
    ],
)
def test_an_edited_file_is_caught(old, new, message, distilled, verified):
    with pytest.raises(ExportError, match=f"export_distillkit.yaml: .*{message}"):
        verified("distillkit", distilled("deeper", loss="mse"), replaced(old, new), lossy=True)
