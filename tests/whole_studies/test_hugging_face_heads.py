"""Models of every head type of Hugging Face, without overriding anything: read rightly, trained on their own loss."""

import pytest
import torch
import transformers as hf
from torch.utils.data import Dataset

from mapsearch.check import check
from mapsearch.core.errors import TaskError
from mapsearch.core.spec import StudySpec
from mapsearch.tasks.loading import open_task
from mapsearch.tasks.output_kinds import decide_outputs
from mapsearch.tasks.task import Task

N, LENGTH, WORDS = 48, 6, 30
BERT = {
    "vocab_size": WORDS, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
LLAMA = {
    "vocab_size": WORDS, "hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 16,
}  # fmt: skip
VIT = {
    "image_size": 8, "patch_size": 4, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
T5 = {
    "vocab_size": WORDS, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_heads": 2, "dropout_rate": 0.0,
    "decoder_start_token_id": 0, "pad_token_id": 0,
}  # fmt: skip


def draw(*shape, high=WORDS, seed=0):
    return torch.randint(1, high, shape, generator=torch.Generator().manual_seed(seed))


IDS = draw(N, LENGTH)
IMAGES = torch.randn(N, 3, 8, 8, generator=torch.Generator().manual_seed(5))
MASKED = torch.where(torch.rand(N, LENGTH, generator=torch.Generator().manual_seed(1)) < 0.4, IDS, -100)
CASES = {
    "sequence classification": (
        hf.BertForSequenceClassification, hf.BertConfig, BERT | {"num_labels": 4},
        {"input_ids": IDS, "labels": draw(N, high=4)}, "classes",
    ),
    "multi-label": (
        hf.BertForSequenceClassification, hf.BertConfig, BERT | {"num_labels": 4},
        {"input_ids": IDS, "labels": (draw(N, 4, high=3) - 1).float()}, "labels",
    ),
    "regression": (
        hf.BertForSequenceClassification, hf.BertConfig, BERT | {"num_labels": 1},
        {"input_ids": IDS, "labels": torch.randn(N, generator=torch.Generator().manual_seed(2))}, "values",
    ),
    "token classification": (
        hf.BertForTokenClassification, hf.BertConfig, BERT | {"num_labels": 5},
        {"input_ids": IDS, "labels": draw(N, LENGTH, high=5)}, "classes",
    ),
    "masked language model": (
        hf.BertForMaskedLM, hf.BertConfig, BERT,
        {"input_ids": IDS.where(MASKED == -100, 0), "labels": MASKED}, "classes",
    ),
    "causal language model": (
        hf.LlamaForCausalLM, hf.LlamaConfig, LLAMA, {"input_ids": IDS, "labels": IDS.clone()}, "classes",
    ),
    "sequence to sequence": (
        hf.T5ForConditionalGeneration, hf.T5Config, T5, {"input_ids": IDS, "labels": draw(N, 4, seed=3)}, "classes",
    ),
    "multiple choice": (
        hf.BertForMultipleChoice, hf.BertConfig, BERT,
        {"input_ids": draw(N, 3, LENGTH), "labels": draw(N, high=3, seed=4)}, "classes",
    ),
    "image classification": (
        hf.ViTForImageClassification, hf.ViTConfig, VIT | {"num_labels": 4},
        {"pixel_values": IMAGES, "labels": draw(N, high=4)},
        "classes",
    ),
}  # fmt: skip


class Columns(Dataset):
    def __init__(self, columns):
        self.columns = columns

    def __len__(self):
        return N

    def __getitem__(self, i):
        return {name: column[i] for name, column in self.columns.items()}


class Head(Task):
    """Nothing but the networks and the data."""

    def __init__(self, cls, config, settings, columns):
        super().__init__()
        self.make, self.columns = (lambda layers: cls(config(**settings, **layers))), columns

    def teacher(self):
        torch.manual_seed(0)
        return self.make({"num_hidden_layers": 3})

    def student(self):
        return self.make({"num_hidden_layers": 2})

    def train_data(self):
        return Columns(self.columns)

    valid_data = train_data


class T5Head(Head):
    def teacher(self):
        torch.manual_seed(0)
        return self.make({"num_layers": 3})

    def student(self):
        return self.make({"num_layers": 2})


def task(name):
    *parts, _ = CASES[name]
    return (T5Head if parts[1] is hf.T5Config else Head)(*parts)


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_read_and_trained_on_the_models_own_loss(name):
    loaded = open_task(task(name), "cpu")
    form = decide_outputs(loaded, "auto", "float32")
    assert form.kind == CASES[name][-1]
    assert form.next_token == (name == "causal language model")
    loaded.task.output_form = form
    batch = loaded.task.collate([loaded.train[i] for i in range(8)])
    own = loaded.teacher(**batch).loss
    assert torch.equal(loaded.task.loss(loaded.task.forward(loaded.teacher, batch), batch), own)


@pytest.mark.parametrize("name", ["causal language model", "token classification", "sequence to sequence"])
def test_default_metrics_hold_each_output_against_its_own_label(name):
    """The mean loss is the model's own, which knows whether labels are shifted."""
    loaded = open_task(task(name), "cpu")
    loaded.task.output_form = decide_outputs(loaded, "auto", "float32")
    batch = loaded.task.collate([loaded.train[i] for i in range(8)])
    output = loaded.task.forward(loaded.teacher, batch)
    assert torch.allclose(loaded.task.metrics(output, batch)["loss"].nanmean(), output.loss, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"multiple choice"}))
def test_the_check_finds_nothing_wrong(name):
    kind = CASES[name][-1]
    spec = StudySpec(
        name="head", task="task.py:Head", metric="loss", direction="minimize",
        train={"batch_size": 16, "steps": 20},
    )  # fmt: skip
    report = check(open_task(task(name), "cpu"), spec)
    wrong = [f"{f.code}: {f.message}" for f in report.errors if f.topic not in ("data", "teacher")]  # untrained, tiny
    assert wrong == []
    assert report.outputs.kind == kind


def test_layers_of_multiple_choice_see_other_rows_than_samples_and_say_so():
    spec = StudySpec(name="head", task="task.py:Head", metric="accuracy", train={"batch_size": 16, "steps": 20})
    report = check(open_task(task("multiple choice"), "cpu"), spec)
    assert any("first axis must be the batch of 16" in f.message for f in report.errors if f.topic == "layers")


def test_question_answering_asks_which_outputs_are_meant():
    columns = {"input_ids": IDS, "start_positions": draw(N, high=LENGTH), "end_positions": draw(N, high=LENGTH)}
    loaded = open_task(Head(hf.BertForQuestionAnswering, hf.BertConfig, BERT, columns), "cpu")
    with pytest.raises(TaskError, match=r"say by `Task.outputs\(output\)`"):
        decide_outputs(loaded, "auto", "float32")
