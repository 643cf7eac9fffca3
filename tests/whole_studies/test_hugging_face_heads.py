"""Models of every head type of Hugging Face, without overriding anything: read rightly, trained on their own loss."""

import pytest
import torch
import transformers as hf
from findings import codes
from torch.utils.data import Dataset

from mapsearch.check import check
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


SEGFORMER = {
    "num_encoder_blocks": 2, "sr_ratios": [2, 1], "hidden_sizes": [8, 16], "patch_sizes": [3, 3], "strides": [2, 2],
    "num_attention_heads": [1, 2], "mlp_ratios": [2, 2], "decoder_hidden_size": 16, "num_labels": 4,
    "hidden_dropout_prob": 0.0, "classifier_dropout_prob": 0.0, "drop_path_rate": 0.0,
}  # fmt: skip
WHISPER = {
    "vocab_size": WORDS, "num_mel_bins": 8, "d_model": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_source_positions": 6, "max_target_positions": 8,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1,
}  # fmt: skip
SPEECH = {
    "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "conv_dim": [8, 8], "conv_kernel": [8, 4],
    "conv_stride": [4, 2], "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4, "apply_spec_augment": False,
    "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8, "num_labels": 4, "layerdrop": 0.0,
    "hidden_dropout": 0.0, "attention_dropout": 0.0, "feat_proj_dropout": 0.0, "activation_dropout": 0.0,
}  # fmt: skip
AUDIO = {
    "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "patch_size": 4, "frequency_stride": 4,
    "time_stride": 4, "max_length": 16, "num_mel_bins": 8, "num_labels": 4, "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}  # fmt: skip


def draw(*shape, high=WORDS, seed=0):
    return torch.randint(1, high, shape, generator=torch.Generator().manual_seed(seed))


IDS = draw(N, LENGTH)
HEARD = (torch.arange(80) < 40 + 20 * draw(N, 1, high=3)).long()
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
    "speech to text": (
        hf.WhisperForConditionalGeneration, hf.WhisperConfig, WHISPER,
        {"input_features": torch.randn(N, 8, 12, generator=torch.Generator().manual_seed(9)),
         "labels": draw(N, 4, seed=3).masked_fill(torch.arange(4) > 1 + draw(N, 1, high=3), -100)},
        "classes",
    ),
    "multiple choice": (
        hf.BertForMultipleChoice, hf.BertConfig, BERT,
        {"input_ids": draw(N, 3, LENGTH), "labels": draw(N, high=3, seed=4)}, "classes",
    ),
    "question answering": (
        hf.BertForQuestionAnswering, hf.BertConfig, BERT,
        {"input_ids": IDS, "start_positions": draw(N, high=LENGTH), "end_positions": draw(N, high=LENGTH, seed=6)},
        "classes",
    ),
    "segmentation": (
        hf.SegformerForSemanticSegmentation, hf.SegformerConfig, SEGFORMER,
        {"pixel_values": torch.randn(N, 3, 16, 16, generator=torch.Generator().manual_seed(7)),
         "labels": draw(N, 16, 16, high=4)},
        "classes",
    ),
    "segmentation with places left out": (
        hf.SegformerForSemanticSegmentation, hf.SegformerConfig, SEGFORMER,
        {"pixel_values": torch.randn(N, 3, 16, 16, generator=torch.Generator().manual_seed(7)),
         "labels": draw(N, 16, 16, high=4).where(torch.arange(16) > 2, 255)},
        "classes",
    ),
    "audio classification": (
        hf.ASTForAudioClassification, hf.ASTConfig, AUDIO,
        {"input_values": torch.randn(N, 16, 8, generator=torch.Generator().manual_seed(8)), "labels": draw(N, high=4)},
        "classes",
    ),
    "speech classification": (
        hf.Wav2Vec2ForSequenceClassification, hf.Wav2Vec2Config, SPEECH,
        {"input_values": torch.randn(N, 80, generator=torch.Generator().manual_seed(8)) * HEARD,
         "attention_mask": HEARD, "labels": draw(N, high=4)},
        "classes",
    ),
    "image classification": (
        hf.ViTForImageClassification, hf.ViTConfig, VIT | {"num_labels": 4},
        {"pixel_values": IMAGES, "labels": draw(N, high=4)},
        "classes",
    ),
}  # fmt: skip


STUDY = StudySpec(
    name="head", task="task.py:Head", metric="loss", direction="minimize", train={"batch_size": 16, "steps": 20}
)


class Columns(Dataset):
    def __init__(self, columns):
        self.columns = columns

    def __len__(self):
        return N

    def __getitem__(self, i):
        return {name: column[i] for name, column in self.columns.items()}


DEPTHS = {  # of teacher and student, where the configuration calls it otherwise
    hf.WhisperConfig: tuple({"encoder_layers": n, "decoder_layers": n} for n in (3, 2)),
    hf.T5Config: ({"num_layers": 3}, {"num_layers": 2}),
    hf.SegformerConfig: ({"depths": [2, 2]}, {"depths": [1, 1]}),
    hf.CLIPConfig: tuple(
        {
            "text_config": BERT | {"num_hidden_layers": n, "max_position_embeddings": 16, "eos_token_id": 2},
            "vision_config": VIT | {"num_hidden_layers": n},
            "projection_dim": 8,
        }
        for n in (3, 2)
    ),
}


class Head(Task):
    """Nothing but the networks and the data."""

    def __init__(self, cls, config, settings, columns):
        super().__init__()
        self.make, self.columns = (lambda depth: cls(config(**settings, **depth))), columns
        self.depths = DEPTHS.get(config, ({"num_hidden_layers": 3}, {"num_hidden_layers": 2}))

    def teacher(self):
        torch.manual_seed(0)
        return self.make(self.depths[0])

    def student(self):
        return self.make(self.depths[1])

    def train_data(self):
        return Columns(self.columns)

    valid_data = train_data


def task(name):
    return Head(*CASES[name][:-1])


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


HELD = [
    "causal language model", "token classification", "sequence to sequence", "speech to text", "segmentation",
    "segmentation with places left out",
]  # fmt: skip


@pytest.mark.parametrize("name", HELD)
def test_default_metrics_hold_each_output_against_its_own_label(name):
    """The mean loss is the model's own, which knows whether labels are shifted."""
    loaded = open_task(task(name), "cpu")
    loaded.task.output_form = decide_outputs(loaded, "auto", "float32")
    batch = loaded.task.collate([loaded.train[i] for i in range(8)])
    output = loaded.task.forward(loaded.teacher, batch)
    assert torch.allclose(loaded.task.metrics(output, batch)["loss"].nanmean(), output.loss, rtol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_the_check_finds_nothing_wrong(name):
    kind = CASES[name][-1]
    report = check(open_task(task(name), "cpu"), STUDY)
    wrong = [f"{f.code}: {f.message}" for f in report.errors if f.topic not in ("data", "teacher")]  # untrained, tiny
    assert wrong == []
    assert report.outputs.kind == kind


def test_layers_of_multiple_choice_are_the_choices_of_each_sample():
    report = check(open_task(task("multiple choice"), "cpu"), STUDY)
    assert [layer.path for layer in report.student] == [f"bert.encoder.layer.{i}@3_per_sample" for i in range(2)]
    assert {layer.positions for layer in (*report.student, *report.teacher)} == {(3 * LENGTH,)}


def test_two_towers_are_one_embedding():
    columns = {"input_ids": IDS, "pixel_values": IMAGES}
    loaded = open_task(Head(hf.CLIPModel, hf.CLIPConfig, {}, columns), "cpu")
    report = check(loaded, STUDY.model_copy(update={"metric": "cosine", "direction": "maximize"}))
    assert report.outputs.kind == "embedding"
    assert [f.message for f in report.errors if f.topic not in ("data", "teacher")] == []
    assert {layer.path.partition(".")[0] for layer in report.student} == {"text_model", "vision_model"}


class Boxes(Columns):
    def __getitem__(self, i):
        return {
            **super().__getitem__(i),
            "labels": {"class_labels": torch.tensor([0]), "boxes": torch.full((1, 4), 0.5)},
        }


class Detector(Head):
    def train_data(self):
        return Boxes(self.columns)

    valid_data = train_data

    def collate(self, samples):
        pixels = torch.stack([sample["pixel_values"] for sample in samples])
        return {"pixel_values": pixels, "labels": [sample["labels"] for sample in samples]}


def test_object_detectors_are_refused_with_the_way_out():
    settings = VIT | {"image_size": [8, 8], "num_detection_tokens": 4, "num_labels": 3}
    loaded = open_task(Detector(hf.YolosForObjectDetection, hf.YolosConfig, settings, {"pixel_values": IMAGES}), "cpu")
    report = check(loaded, STUDY)
    (error,) = [f.message for f in report.errors if f.topic not in ("data", "teacher")]
    assert "`outputs: none`" in error
    assert not any("AttributeError" in f.message for f in report.errors)


def test_what_a_model_leaves_out_of_its_labels_is_not_measured():
    loaded = open_task(task("segmentation with places left out"), "cpu")
    batch = loaded.task.collate([loaded.train[i] for i in range(8)])
    loaded.task.output_form = decide_outputs(loaded, "auto", "float32")
    accuracy = loaded.task.metrics(loaded.task.forward(loaded.teacher, batch), batch)["accuracy"]
    assert torch.equal(accuracy.isnan(), batch["labels"] == 255)


def test_the_mask_of_tokens_of_sound_is_the_models_own():
    loaded = open_task(task("speech classification"), "cpu")
    batch = loaded.task.collate([loaded.train[i] for i in range(8)])
    mask = loaded.task.mask(batch)
    own = loaded.teacher._get_feature_vector_attention_mask(mask.shape[1], batch["attention_mask"])
    assert torch.equal(mask, own)
    assert not mask.all()


def test_the_tokens_that_a_decoder_writes_have_a_mask_of_their_own():
    report = check(open_task(task("speech to text"), "cpu"), STUDY)
    assert [layer.path for layer in report.student] == [
        f"model.{part}.layers.{i}" for part in ("encoder", "decoder") for i in range(2)
    ]
    assert "padding.masked" in codes(report, "ok")
    assert [layer.sequence for layer in report.student] == ["", "", "decoder", "decoder"]
