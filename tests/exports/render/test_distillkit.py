"""The YAML for DistillKit, as text; `tests/frameworks` runs it."""

import pytest
import yaml

from mapsearch.core.errors import ExportError
from mapsearch.exports.render.distillkit import hidden_state
from mapsearch.exports.write import write

PAIRS = [("model.layers.1", "model.layers.3", 1.0), ("model.layers.1", "model.layers.4", 3.0)]


def config(source, path):
    write("distillkit", source, path, lossy=True)
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("model.embed_tokens", 0),
        ("model.layers.0", 1),
        ("transformer.drop", 0),
        ("transformer.h.4", 5),
        ("bert.encoder.layer.4", 5),
        ("model.norm", -1),
        ("model.layers.0.mlp", None),
        ("lm_head", None),
    ],
)
def test_hidden_states_begin_with_the_embeddings_and_end_behind_the_norm(path, place):
    assert hidden_state(path) == place


def test_layers_are_counted_and_the_pairs_weigh_alike(llama, tmp_path):
    made = config(llama(PAIRS), tmp_path / "run.yaml")
    assert made == {
        "model": "./student",
        "teacher": {"kind": "hf", "path": "./teacher"},
        "dataset": {"train_dataset": {"disk_path": "./dataset"}},
        "output_path": "./distilled",
        "sequence_length": 16,
        "training_args": {"max_steps": 300},
        "loss_functions": [
            {"function": "cross_entropy", "weight": 0.4},
            {"function": "kl", "weight": 0.8, "temperature": 3.0},
            {"function": "hs_mse", "weight": pytest.approx(0.6 * 0.25 / 0.5 + 0.6 * 0.75 / 1.5)},
        ],
        "layer_mapping": [[2, 4], [2, 5]],
        "force_hidden_state_projection": True,
    }


def test_the_header_says_where_it_comes_from_and_what_is_left_out(llama, tmp_path):
    config(llama([*PAIRS, ("model.layers.2", "model.layers.0", 1.0)]), tmp_path / "run.yaml")
    text = (tmp_path / "run.yaml").read_text()
    for line in (
        "study: chat, trial 7, reference seed 0",
        "verdict: BEATS logits",
        "loss: 2.25 (2 to 2.5, 2 runs of 300 steps)",
        "direction: student <- teacher",
        "unsupported: the feature terms have the multipliers 0.24, 0.24, 0.048, but the target has one for all: 0.176",
        "unsupported: the projectors have a bias, but those of the target have none",
        "`distillation_projections` is saved inside the student: delete it from the checkpoint before use",
    ):
        assert f"# {line}\n" in text


def test_equal_multipliers_without_projectors_lose_nothing(llama, tmp_path):
    write("distillkit", llama([PAIRS[0]], projector="none", teacher_width=8, loss="cosine"), tmp_path / "run.yaml")
    made = yaml.safe_load((tmp_path / "run.yaml").read_text())
    assert made["loss_functions"][-1]["function"] == "hs_cosine"
    assert made["force_hidden_state_projection"] is False
    assert "unsupported:" not in (tmp_path / "run.yaml").read_text()


def test_what_has_no_weight_is_left_out(llama, tmp_path):
    made = config(llama(PAIRS, task_weight=0.0, output_weight=0.0), tmp_path / "run.yaml")
    assert [each["function"] for each in made["loss_functions"]] == ["hs_mse"]
    made = config(llama([]), tmp_path / "outputs.yaml")
    assert [each["function"] for each in made["loss_functions"]] == ["cross_entropy", "kl"]
    assert "layer_mapping" not in made


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("model.layers.1.mlp", "model.layers.3"), "layer `model.layers.1.mlp` is not among the hidden states"),
        (("model.layers.4", "model.layers.3"), "layer `model.layers.4` is the deepest that the study knows, .* norm"),
        (("model.layers.1", "model.layers.8"), "layer `model.layers.8` is the deepest that the study knows, .* norm"),
    ],
)
def test_a_layer_that_is_no_hidden_state_is_refused(pair, message, llama, tmp_path):
    with pytest.raises(ExportError, match=f"^target `distillkit` cannot express trial 7: {message}"):
        config(llama([(*pair, 1.0)]), tmp_path / "run.yaml")


def test_the_last_layer_of_a_bert_is_its_last_hidden_state(llama, tmp_path):
    made = config(llama([("bert.encoder.layer.3", "bert.encoder.layer.11", 1.0)]), tmp_path / "run.yaml")
    assert made["layer_mapping"] == [[4, 12]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"loss": "nmse"}, "the feature loss is `nmse`, but the target supports cosine, mse only"),
        ({"output_loss": "mse"}, "the output loss is `mse`, but the target supports kl only"),
        ({"projector": "mlp"}, "the projector is `mlp`"),
        ({"aggregation": "mix"}, "the aggregation is `mix`"),
    ],
)
def test_another_method_is_refused_even_with_lossy(fields, message, llama, tmp_path):
    with pytest.raises(ExportError, match=f"^target `distillkit` cannot express trial 7: {message}"):
        config(llama(PAIRS, **fields), tmp_path / "run.yaml")


def test_what_is_left_out_is_said_before_anything_is_written(llama, tmp_path):
    with pytest.raises(ExportError, match=r"cannot express all of trial 7: .*fades to zero at 0.5 .*--lossy") as caught:
        write("distillkit", llama(PAIRS, anneal=0.5), tmp_path / "run.yaml")
    assert any("have a bias" in problem for problem in caught.value.problems)
    assert not list(tmp_path.iterdir())
