"""SilverSpoon-KD's builder, in its own distiller: the trial's loss, its own training loop, and what an edit does."""

import pytest
import torch
from exported_recipes import EVERYTHING, named, replaced

from mapsearch.core.errors import ExportError
from mapsearch.exports.attached import term_parameters
from mapsearch.exports.pasted import executed
from mapsearch.exports.targets import write
from mapsearch.losses.recipe_loss import RecipeLoss
from mapsearch.tasks.batches import train_batches
from mapsearch.tasks.loading import seed_everything

RECIPES = [*EVERYTHING, {"task": "tags", "task_weight": 9.0}]


@pytest.mark.parametrize("recipe", RECIPES, ids=named)
def test_the_loss_is_that_of_the_trial(recipe, distilled, verified):
    report = verified("silverspoon", distilled(**recipe))
    assert report.loss_exported == pytest.approx(report.loss_in_trial, rel=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["blocks.2"]', '["blocks.1"]', "the loss of the recipe and of the file must be equal"),
        ('["blocks.2"]', '["blocks.9"]', "the teacher has no layer `blocks.9`"),
        ("TEMPERATURE = 3.0", "TEMPERATURE = 2.0", "the loss of the recipe and of the file must be equal"),
        ("ALPHA = 0.3", "ALPHA = 0.4", "the loss of the recipe and of the file must be equal"),
        ("ANNEAL = 0.5", "ANNEAL = None", "the half-faded loss of the recipe and of the file"),
        ("def build", "def builds", "KeyError: 'build'"),
    ],
)
def test_an_edited_file_is_caught(old, new, message, distilled, verified):
    with pytest.raises(ExportError, match=f"export_silverspoon.py: .*{message}"):
        verified("silverspoon", distilled("images"), replaced(old, new))


@pytest.mark.parametrize("fields", [{}, {"aggregation": "mix"}, {"task_weight": 9.0}])
def test_its_own_training_starts_at_the_loss_of_the_trial_and_fades(fields, distilled, tmp_path):
    study = distilled("bert", **fields)
    write("silverspoon", study.source, path := tmp_path / "distillation.py")
    names, source, loaded = executed(path), study.source, study.loaded
    layers = (source.student, source.teacher)
    student = loaded.new_student(source.seed)
    bare = student.state_dict().keys()
    args = names["TrainingArguments"](
        str(tmp_path), max_steps=4, per_device_train_batch_size=8, learning_rate=0.01, use_cpu=True, save_strategy="no",
        logging_strategy="no", remove_unused_columns=False, disable_tqdm=True,
    )  # fmt: skip
    distiller = names["build"](student, loaded.teacher, args=args, train_dataset=loaded.train)
    terms = [each.output_projector for each in distiller.alignments if each.output_projector is not None]
    learned = list(term_parameters([each.term for each in terms]))
    for one, other in zip(RecipeLoss(source.recipe, *layers, source.seed).parameters(), learned, strict=True):
        other.data.copy_(one)
    batch = next(train_batches(loaded, study.train.batch_size, source.seed, source.n_steps))
    distiller._register_capture()
    seed_everything(source.seed * 1_000_003)  # the dropout of step 0
    total = distiller.compute_distillation_loss(student.train(), batch, is_training=True)
    distiller._deregister_capture()
    assert float(total) * names["SCALE"] == pytest.approx(source.first_loss, rel=1e-5)

    before = [parameter.clone() for parameter in learned]
    weights = [alignment.loss_weight for alignment in distiller.alignments]
    distiller.train()
    assert not any(torch.equal(one, other) for one, other in zip(before, learned, strict=True))
    faded = [alignment.loss_weight for alignment in distiller.alignments]
    assert faded[: len(terms)] == [0.0] * len(terms), "past half of the steps the feature part is gone"
    assert faded[len(terms) :] == weights[len(terms) :], "the logits do not fade"
    assert names["finish"](distiller) is student
    loaded.new_student(0).load_state_dict(student.state_dict())
    assert student.state_dict().keys() == bare
    hooks = [
        (path, hook)
        for network in (student, loaded.teacher)
        for path, module in network.named_modules()
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    ]
    assert not hooks
