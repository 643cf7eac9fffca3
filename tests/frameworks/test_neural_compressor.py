"""Neural Compressor computes what the exported recipe says, as far as it can."""

import pytest
import torch

from mapsearch.core.errors import ExportError
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.exports.pasted import executed
from mapsearch.exports.targets import write
from mapsearch.tasks.batches import train_batches

MAPPINGS = {
    "images": (Pair("blocks.0", "blocks.1", 1.0),),
    "tags": (Pair("layers.0", "layers.0", 1.0), Pair("layers.1", "layers.2", 3.0)),
}
ONE_TO_ONE = {task: LayerMapping(pairs) for task, pairs in MAPPINGS.items()}
PLAIN = {"loss": "mse", "logit_weight": 0.0, "anneal": None}


def recipe(task, **fields):
    return {"task": task, "mapping": ONE_TO_ONE[task], **PLAIN, **fields}


@pytest.mark.parametrize(
    "fields",
    [
        recipe("images"),
        recipe("images", task_weight=0.5),
        recipe("tags"),
        recipe("tags", logit_weight=2.0, anneal=0.5, temperature=2.0),
        {"task": "tags", "pairs": False},
    ],
    ids=["images", "images-task_weight", "tags", "tags-lossy", "tags-without-features"],
)
def test_it_gives_the_loss_and_gradient_of_what_it_can_express(fields, distilled, verified):
    assert verified("neural-compressor", distilled(**fields), lossy=True).equal


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"layers.2"', '"layers.1"', "the loss of the recipe and of the file"),
        ('"layers.2"', '"layers.7"', "the teacher has no layer `layers.7`"),
        ("TASK_MULTIPLIER = 0.3", "TASK_MULTIPLIER = 0.4", "the loss of the recipe and of the file"),
        ('["MSE"]', '["L1"]', "the loss of the recipe and of the file"),
    ],
)
def test_an_edited_file_is_caught(old, new, message, distilled, verified):
    def change(path):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    with pytest.raises(ExportError, match=message):
        verified("neural-compressor", distilled(**recipe("tags")), change, lossy=True)


def test_the_student_learns_and_the_projections_do_not(distilled, tmp_path):
    study = distilled(**recipe("images"))
    write("neural-compressor", study.source, tmp_path / "out.py", lossy=True)
    names = executed(tmp_path / "out.py")
    student = study.loaded.new_student(0)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    manager = names["build"](student, study.loaded.teacher)
    manager.callbacks.on_train_begin()
    criterion = manager.callbacks.callbacks_list[0].criterion
    before = None
    for step, (x, y) in enumerate(train_batches(study.loaded, 8, 0, 3)):
        manager.callbacks.on_step_begin(step)
        logits = student(x)
        loss = names["total"](manager, x, logits, study.loaded.task.loss(logits, (x, y)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        (projection,) = criterion.feature_matchers.values()
        now = projection.dense.weight.detach().clone()
        assert before is None or torch.equal(before, now)
        before = now
    criterion.remove_all_hooks()
    study.loaded.new_student(1).load_state_dict(student.state_dict(), strict=True)
