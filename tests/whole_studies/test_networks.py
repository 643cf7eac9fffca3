"""Networks as people have them, through check and training: Hugging Face, torch.compile, DDP, PEFT, checkpointing."""

import os

import pytest
import torch
from small_tasks import WIDTH, Net
from torch.nn.parallel import DistributedDataParallel

os.environ["HF_HUB_OFFLINE"] = "1"
from peft import LoraConfig, get_peft_model
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ViTConfig,
    ViTForImageClassification,
)

from mapsearch.check import check
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.distill import distill
from mapsearch.features.taps import FeatureTaps
from mapsearch.tasks.loading import open_task
from mapsearch.tasks.task import Task

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated"),  # PEFT asks transformers for it
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor"),  # torch's compiler looks at it
]
LENGTH = 9


class Samples:
    def __init__(self, columns):
        self.columns = columns

    def __len__(self):
        return len(self.columns["labels"])

    def __getitem__(self, i):
        return {name: column[i] for name, column in self.columns.items()}


class Distilled(Task):
    """Any teacher and student on dict batches; the teacher is always right. Nothing of `Task` is overridden."""

    def __init__(self, teacher, student, inputs):
        self._teacher, self._student = teacher, student
        with torch.no_grad():
            logits = self.logits(teacher.eval()(**inputs))
        columns = {**inputs, "labels": (logits - logits.mean(0)).argmax(-1)}
        self.parts = [Samples({n: c[start : start + 64] for n, c in columns.items()}) for start in (0, 64, 128)]

    def teacher(self):
        return self._teacher

    def student(self):
        return self._student()

    def train_data(self):
        return self.parts[0]

    def valid_data(self):
        return self.parts[1]

    def test_data(self):
        return self.parts[2]


def sentences():
    generator = torch.Generator().manual_seed(0)
    mask = (torch.arange(LENGTH) < torch.randint(3, LENGTH + 1, (192, 1), generator=generator)).long()
    return {"input_ids": torch.randint(1, 30, (192, LENGTH), generator=generator) * mask, "attention_mask": mask}


def images():
    return {"pixel_values": torch.randn(192, 3, 8, 8, generator=torch.Generator().manual_seed(3))}


def bert(width, depth, **options):
    sizes = {"hidden_size": width, "intermediate_size": 2 * width, "num_attention_heads": 2, "num_hidden_layers": depth}
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    torch.manual_seed(0)
    config = BertConfig(vocab_size=30, max_position_embeddings=16, num_labels=3, **sizes, **dropout, **options)
    return BertForSequenceClassification(config)


def distilbert():
    return DistilBertForSequenceClassification(
        DistilBertConfig(vocab_size=30, max_position_embeddings=16, dim=8, hidden_dim=16, n_heads=2, n_layers=2,
                         num_labels=3)
    )  # fmt: skip


def vit(width, depth):
    return ViTForImageClassification(
        ViTConfig(image_size=8, patch_size=4, hidden_size=width, intermediate_size=2 * width, num_attention_heads=2,
                  num_hidden_layers=depth, num_labels=3)
    )  # fmt: skip


def checkpointed():
    student = bert(8, 2)
    student.activation_checkpointing_enable({"use_reentrant": False})
    return student


def with_lora():
    config = LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"], init_lora_weights="gaussian")
    return get_peft_model(bert(8, 2), config)


def wide_bert():
    teacher = bert(16, 4)
    with torch.no_grad():
        for parameter in teacher.parameters():  # freshly made, its logits would hardly differ
            parameter.mul_(3.0)
    return teacher


def study(**layers):
    return StudySpec(name="s", task="t.py:T", train={"steps": 10, "batch_size": 16}, layers=layers)


def findings(loaded, **layers):
    """The report of a check without errors."""
    report = check(loaded, study(**layers))
    assert [f"{finding.code}: {finding.message}" for finding in report.errors] == []
    return report


def trained(loaded, space, *pairs):
    """One run of six steps with these pairs of layers."""
    recipe = Recipe(LayerMapping(tuple((*pair, 1.0) for pair in pairs)), feature_share=0.5, output_weight=1.0)
    plan = RunPlan(0, recipe, 0, 3, "search", "valid", 6)
    (result,) = [e for e in distill(loaded, space, study().train, [plan]) if isinstance(e, RunResult)]
    assert result.error == ""
    assert result.state == "complete"
    return result


BERTS = [
    (lambda: bert(8, 2), "bert.encoder.layer.*", "bert.embeddings"),
    (lambda: bert(8, 2, return_dict=False), "bert.encoder.layer.*", "bert.embeddings"),  # outputs are tuples
    (distilbert, "distilbert.transformer.layer.*", "distilbert.embeddings"),
    (checkpointed, "bert.encoder.layer.*", "bert.embeddings"),
    (with_lora, "bert.encoder.layer.*", "bert.encoder.layer.0"),
]


@pytest.mark.parametrize(
    ("student", "blocks", "first"), BERTS, ids=["bert", "tuples", "distilbert", "checkpointed", "peft"]
)
def test_hugging_face_models_need_no_adapter(student, blocks, first):
    loaded = open_task(Distilled(wide_bert(), student, sentences()), "cpu")
    names = {"teacher": ["bert.embeddings", "bert.encoder.layer.*"], "student": [blocks] + [first] * ("emb" in first)}
    report = findings(loaded, **names)
    assert {(layer.kind, layer.positions) for layer in (*report.student, *report.teacher)} == {("tokens", (LENGTH,))}
    assert report.teacher[0].path == "bert.embeddings"  # what Hugging Face calls hidden state 0
    assert report.student[0].path == first
    result = trained(loaded, RecipeSpace(report.student, report.teacher), (first, "bert.embeddings"))
    assert result.gradient_shares[0] > 0


def test_auto_finds_the_blocks_of_hugging_face_models_inside_peft():
    report = findings(open_task(Distilled(wide_bert(), with_lora, sentences()), "cpu"))
    assert [layer.path for layer in report.student] == [f"bert.encoder.layer.{i}" for i in range(2)]
    assert [layer.path for layer in report.teacher] == [f"bert.encoder.layer.{i}" for i in range(4)]


def test_a_path_may_name_the_wrappers_of_peft():
    with FeatureTaps(with_lora(), ["base_model.model.bert.encoder.layer.1"]) as taps:
        assert taps.calls() == {"base_model.model.bert.encoder.layer.1": 0}


def test_vision_transformers_give_tokens_from_the_embeddings_on():
    torch.manual_seed(0)
    teacher = vit(16, 3)
    loaded = open_task(Distilled(teacher, lambda: vit(8, 2), images()), "cpu")
    report = findings(loaded)
    assert {(layer.kind, layer.positions) for layer in (*report.student, *report.teacher)} == {("tokens", (5,))}
    assert (len(report.student), len(report.teacher)) == (2, 3)
    report = findings(loaded, student=["vit.embeddings"], teacher=["vit.embeddings"])
    assert report.student[0].kind == "tokens"
    trained(loaded, RecipeSpace(report.student, report.teacher), ("vit.embeddings", "vit.embeddings"))


def test_padding_never_enters_a_similarity_or_a_loss():
    loaded = open_task(Distilled(wide_bert(), lambda: bert(8, 2), sentences()), "cpu")
    report = findings(loaded)
    assert any(finding.code == "padding.masked" for finding in report.findings)


WRAPS = {
    "compile": lambda model: torch.compile(model, backend="eager"),
    "aot": lambda model: torch.compile(model, backend="aot_eager"),
    "DDP": DistributedDataParallel,
}


@pytest.mark.parametrize("wrap", WRAPS)
def test_a_wrapped_student_and_teacher_come_out_as_the_bare_ones(group, wrap):
    x = {"x": torch.randn(192, WIDTH, generator=torch.Generator().manual_seed(0))}
    results = []
    for dress in (lambda model: model, WRAPS[wrap]):
        torch.manual_seed(0)
        loaded = open_task(Distilled(dress(Net(16, 4)), lambda dress=dress: dress(Net(8, 2)), x), "cpu")
        report = findings(loaded)
        space = RecipeSpace(report.student, report.teacher)
        results.append((space, trained(loaded, space, ("blocks.0", "blocks.1"), ("blocks.1", "blocks.3"))))
    (bare_space, bare), (space, wrapped) = results
    assert space == bare_space
    assert wrapped.first_loss == pytest.approx(bare.first_loss, rel=1e-5)
    assert wrapped.curve[-1][1] == pytest.approx(bare.curve[-1][1], rel=1e-4)
    assert wrapped.metrics["loss"] == pytest.approx(bare.metrics["loss"], rel=1e-4)
