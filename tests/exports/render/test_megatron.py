"""The YAML for Megatron and its module of taps, as text; `tests/frameworks` runs them."""

import pytest
import yaml

from mapsearch.core.errors import ExportError
from mapsearch.exports.frameworks.execute import executed
from mapsearch.exports.render.megatron import SCHEMAS
from mapsearch.exports.write import write

PAIRS = [("model.layers.1", "model.layers.3", 1.0), ("model.layers.4", "model.layers.8", 3.0)]
REPEATED = [*PAIRS, ("model.layers.1", "model.layers.4", 1.0)]


def config(source, path, **options):
    write("megatron", source, path, lossy=True, **options)
    return yaml.safe_load(path.read_text())


def test_pairs_go_by_megatrons_names_with_their_loss(llama, tmp_path):
    assert config(llama(PAIRS, projector="none", teacher_width=8), tmp_path / "kd.yaml") == {
        "logit_layers": ["output_layer", "output_layer"],
        "intermediate_layer_pairs": [
            ["decoder.layers.1", "decoder.layers.3", "mse"],
            ["decoder.layers.4", "decoder.layers.8", "mse"],
        ],
        "skip_lm_loss": False,
        "kd_loss_scale": pytest.approx((0.6 + 0.4 * 2) / 0.4),
        "logit_kl_temperature": 3.0,
    }
    assert [file.name for file in tmp_path.iterdir()] == ["kd.yaml"], "no layer stands in several pairs: no taps"


def test_the_header_says_what_the_study_weighed_and_what_is_left_out(llama, tmp_path):
    source = llama(PAIRS)
    config(source, tmp_path / "kd.yaml")
    text = (tmp_path / "kd.yaml").read_text()
    assert "# loss of the study: 0.4 * lm_loss + 7.2 * logits_loss + 0.6 * intermediate_loss\n" in text
    for line in (
        "study: chat, trial 7, reference seed 0",
        "verdict: BEATS logits",
        "loss: 2.25 (2 to 2.5, 2 runs of 300 steps)",
        "versions: mapsearch 0.1.0, torch 2.13.0",
        "direction: student <- teacher",
        "unsupported: each of the 2 terms has a projector, but the target has one, used by all pairs",
    ):
        assert f"# {line}\n" in text


def test_schemas_differ_in_where_and_what(llama, tmp_path):
    source = llama(PAIRS, loss="cosine", temperature=1.0)
    made = {schema: config(source, tmp_path / f"{schema}.yaml", schema=schema) for schema in SCHEMAS}
    assert made["bridge"] == {"model": {"kd_config": made["modelopt"]}}
    assert made["nemo2"]["intermediate_layer_pairs"][0] == ["decoder.layers.1", "decoder.layers.3"]
    assert "logit_kl_temperature" not in made["nemo2"]
    assert made["next"]["kd_loss_alpha"] == pytest.approx(1.4 / 1.8)
    assert not {"skip_lm_loss", "kd_loss_scale"} & set(made["next"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"loss": "mse"}, "`nemo2` only has the loss cosine, but got `mse`; choose --schema modelopt"),
        ({"loss": "cosine"}, "`nemo2` has no temperature, but got 3; choose --schema modelopt"),
    ],
)
def test_the_old_schema_refuses_what_it_cannot_say(fields, message, llama, tmp_path):
    with pytest.raises(ExportError, match=message):
        config(llama(PAIRS, **fields), tmp_path / "kd.yaml", schema="nemo2")
    assert not list(tmp_path.iterdir())


def test_an_unknown_schema_offers_close_ones(llama, tmp_path):
    with pytest.raises(ExportError, match=r"^target `megatron` has no schema `nemo`; did you mean `nemo2`\?; known: "):
        config(llama(PAIRS), tmp_path / "kd.yaml", schema="nemo")


def test_without_a_task_the_lm_loss_is_skipped(llama, tmp_path):
    made = config(llama(PAIRS, task_weight=0.0), tmp_path / "kd.yaml")
    assert (made["skip_lm_loss"], made["kd_loss_scale"]) == (True, 1.0)


def test_a_layer_in_several_pairs_gets_a_tap_for_each(llama, tmp_path):
    made = config(llama(REPEATED), tmp_path / "kd.yaml")
    assert made["intermediate_layer_pairs"] == [
        ["decoder.layers.1.tap0", "decoder.layers.3.tap0", "mse"],
        ["decoder.layers.1.tap1", "decoder.layers.4.tap1", "mse"],
        ["decoder.layers.4.tap2", "decoder.layers.8.tap2", "mse"],
    ]
    taps = executed(tmp_path / "kd_taps.py")
    assert taps["STUDENT"] == ["decoder.layers.1", "decoder.layers.1", "decoder.layers.4"]
    assert taps["TEACHER"] == ["decoder.layers.3", "decoder.layers.4", "decoder.layers.8"]
    assert "kd_taps.py must run before" in (tmp_path / "kd.yaml").read_text()


def test_a_norm_beside_a_whole_layer_gets_taps_as_their_outputs_have_other_forms(llama, tmp_path):
    made = config(llama([("model.layers.1", "model.norm", 1.0)]), tmp_path / "kd.yaml")
    assert made["intermediate_layer_pairs"] == [["decoder.layers.1.tap0", "decoder.final_layernorm.tap0", "mse"]]


def test_existing_taps_are_not_overwritten(llama, tmp_path):
    (tmp_path / "kd_taps.py").write_text("mine")
    with pytest.raises(ExportError, match=r"kd_taps\.py already exists"):
        config(llama(REPEATED), tmp_path / "kd.yaml")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["mine"]


def test_a_recipe_of_logits_alone_has_no_pairs(llama, tmp_path):
    made = config(llama([], task_weight=2.0), tmp_path / "kd.yaml")
    assert (made["intermediate_layer_pairs"], made["kd_loss_scale"]) == ([], 1.0)


@pytest.mark.parametrize(
    ("pairs", "fields", "message"),
    [
        ([("model.layers.1.mlp", "model.layers.3", 1.0)], {}, "layer `model.layers.1.mlp` has no name in Megatron"),
        ([("encoder.layer.1", "model.layers.3", 1.0)], {}, "layer `encoder.layer.1` has no name in Megatron"),
        (PAIRS, {"loss": "nmse"}, "the feature loss is `nmse`, but the target supports cosine, mse only"),
        (PAIRS, {"aggregation": "fuse"}, "the aggregation is `fuse`, but the target supports sum only"),
        (PAIRS, {"output_loss": "dkd"}, "the output loss is `dkd`, but the target supports kl only"),
        (PAIRS, {"projector": "mlp"}, "the projector is `mlp`, but the target supports linear, none only"),
    ],
)
def test_another_method_is_refused_even_with_lossy(pairs, fields, message, llama, tmp_path):
    with pytest.raises(ExportError, match=f"^target `megatron` cannot express trial 7: {message}"):
        config(llama(pairs, **fields), tmp_path / "kd.yaml")


@pytest.mark.parametrize(
    ("pairs", "fields", "message"),
    [
        (PAIRS, {}, "the feature terms have the multipliers"),
        (PAIRS, {}, "each of the 2 terms has a projector, .* one, used by all pairs"),
        (PAIRS, {"anneal": 0.5}, "fades to zero at 0.5 of the training"),
        (PAIRS, {"output_weight": 0.0}, "the logits are not matched, but the target always"),
        (PAIRS, {"teacher_width": 8}, "features of equal width are projected"),
        ([("model.layers.1.input_layernorm",) * 2 + (1.0,)], {}, "outputs normalised features, .* empty"),
        ([], {}, "the study's loss is 1 lm_loss, 18 logits_loss, 0 intermediate_loss, .* rescales"),
    ],
)
def test_what_is_left_out_is_said_before_anything_is_written(pairs, fields, message, llama, tmp_path):
    with pytest.raises(ExportError, match=f"target `megatron` cannot express all of trial 7: .*{message}.*--lossy"):
        write("megatron", llama(pairs, **fields), tmp_path / "kd.yaml")
    assert not list(tmp_path.iterdir())
