from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mapsearch.core.errors import TaskError
from mapsearch.tasks.task import Task, inputs_of


class Plain(Task):
    def teacher(self):
        return nn.Linear(3, 2)

    def student(self):
        return nn.Linear(3, 2)

    def train_data(self):
        return []

    def valid_data(self):
        return []


TASK = Plain()
X, Y = torch.randn(4, 3), torch.tensor([0, 1, -100, 1])
LOGITS = torch.tensor([[2.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, 4.0]])


def test_only_four_methods_must_be_written():
    assert Task.__abstractmethods__ == {"teacher", "student", "train_data", "valid_data"}
    assert TASK.test_data() is None


@pytest.mark.parametrize("batch", [(X, Y), [X, Y], X])
def test_a_tuple_batch_gives_its_first_item_to_the_network(batch):
    assert torch.equal(TASK.forward(lambda x: 2 * x, batch), 2 * X)


def test_a_dict_batch_gives_all_but_its_labels_as_keyword_arguments():
    batch = {"a": 2, "b": 3, "labels": Y}
    assert TASK.forward(lambda a, b: a * b, batch) == 6


@pytest.mark.parametrize("output", [LOGITS, SimpleNamespace(logits=LOGITS), {"logits": LOGITS}, (LOGITS, None)])
def test_logits_of_every_kind_of_output(output):
    assert TASK.logits(output) is LOGITS


@pytest.mark.parametrize("output", [{"last_hidden_state": Y, "pooler_output": X}, SimpleNamespace(last_hidden_state=X)])
def test_an_output_without_a_head_is_its_embedding(output):
    assert TASK.outputs(output) is X


@pytest.mark.parametrize(
    ("output", "parts"),
    [
        ({"image_embeds": X, "last_hidden_state": Y}, 1),  # a tower with its projection
        ({"text_embeds": X, "image_embeds": X, "logits_per_text": Y}, 2),
        ({"audio_embeds": X, "text_embeds": X}, 2),
        ({"image_embeds": X[None], "last_hidden_state": X}, 1),  # of patches: no embedding of the image
    ],
)
def test_the_embeddings_of_towers_are_one(output, parts):
    assert torch.equal(TASK.outputs(output), torch.cat([X] * parts, 1))


def test_lists_of_numbers_are_collated_sample_by_sample():
    samples = [{"ids": [1, 2, 3], "boxes": [[0.5, 1], [2, 3]], "text": "a", "label": i} for i in range(2)]
    batch = TASK.collate(samples)
    assert (batch["ids"].shape, batch["boxes"].shape, batch["label"].tolist()) == ((2, 3), (2, 2, 2), [0, 1])
    assert batch["text"] == ["a", "a"]


def test_samples_of_different_lengths_are_refused_with_the_way_out():
    with pytest.raises(TaskError, match=r"\[3\].*\[2\].*pad .*`Task.collate\(samples\)`"):
        TASK.collate([{"ids": [1, 2, 3]}, {"ids": [1, 2]}])


@pytest.mark.parametrize("output", [{"hidden": X}, SimpleNamespace(hidden=X), ()])
def test_an_output_without_a_known_field_is_refused(output):
    with pytest.raises(TaskError, match=r"has none of logits, .*`Task.outputs\(output\)`"):
        TASK.outputs(output)


@pytest.mark.parametrize("batch", [(X, Y), {"x": X, "labels": Y}])
def test_labels_of_a_batch(batch):
    assert TASK.labels(batch) is Y


def test_the_loss_leaves_out_unlabelled_samples():
    labelled = Y != -100
    expected = F.cross_entropy(LOGITS[labelled], Y[labelled])
    torch.testing.assert_close(TASK.loss(LOGITS, (X, Y)), expected)


def test_a_models_own_loss_is_not_believed_where_it_takes_missing_labels_for_numbers():
    task, labels = Plain(), torch.tensor([[1.0, -100.0], [0.0, 1.0]])
    task.output_form = replace(task.output_form, kind="labels")
    output = {"loss": torch.tensor(50.0), "logits": LOGITS[:2]}
    known = labels != -100
    expected = F.binary_cross_entropy_with_logits(LOGITS[:2][known], labels[known])
    assert torch.allclose(task.loss(output, {"labels": labels}), expected)
    assert task.loss(output, {"labels": labels.clamp(min=0)}) == 50


def test_the_loss_is_zero_with_a_gradient_when_nothing_is_labelled():
    logits = LOGITS.clone().requires_grad_()
    loss = TASK.loss(logits, (X, torch.full((4,), -100)))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(logits.grad, torch.zeros(4, 2))


def test_the_loss_of_token_labels_is_a_mean_over_labelled_tokens():
    logits, labels = torch.randn(2, 5, 3), torch.randint(0, 3, (2, 5))
    labels[0, 3:] = -100
    expected = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    torch.testing.assert_close(TASK.loss(logits, {"labels": labels}), expected)


def test_metrics_hold_one_value_per_sample_and_nan_where_unlabelled():
    metrics = TASK.metrics(LOGITS, (X, Y))
    assert metrics["accuracy"].isnan().tolist() == [False, False, True, False]
    assert metrics["accuracy"][[0, 1, 3]].tolist() == [1.0, 0.0, 1.0]
    torch.testing.assert_close(metrics["loss"][0], F.cross_entropy(LOGITS[:1], Y[:1]))
    assert bool(metrics["loss"][2].isnan())


def test_the_mask_is_the_attention_mask():
    assert TASK.mask({"attention_mask": torch.tensor([[1, 0]])}).tolist() == [[True, False]]
    assert TASK.mask({"input_ids": X}) is None
    assert TASK.mask((X, Y)) is None


def test_an_encoder_and_a_decoder_have_a_mask_each():
    task = Plain()
    task.output_form = replace(task.output_form, from_decoder=True)
    masks = task.mask({"attention_mask": torch.tensor([[1, 0]]), "labels": torch.tensor([[3, 4, -100]])})
    assert masks["outputs"].tolist() == masks["*.decoder"].tolist() == [[True, True, False]]
    assert masks["*"].tolist() == [[True, False]]


def test_labels_that_a_segmentation_model_leaves_out_are_none():
    task = Plain()
    task.output_form = replace(task.output_form, ignored=255)
    assert task.labels({"labels": torch.tensor([[0, 255], [2, 1]])}).tolist() == [[0, -100], [2, 1]]


def test_tokenizers_are_not_compared_unless_the_task_gives_them():
    assert TASK.tokenizers() is None


def test_what_is_shown_to_a_network():
    assert inputs_of((X, Y)) is X
    assert inputs_of({"x": X, "labels": Y}) == {"x": X}
