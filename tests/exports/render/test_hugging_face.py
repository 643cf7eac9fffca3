"""What parts of language models module paths name."""

import pytest

from mapsearch.exports.render.hugging_face import Part, megatron_path, part_of


@pytest.mark.parametrize("prefix", ["", "model."])
def test_a_llama_has_embeddings_layers_and_a_final_norm(prefix):
    assert part_of(f"{prefix}embed_tokens") == Part("embeddings", 0, final_norm=True, decoder=True)
    assert part_of(f"{prefix}layers.11") == Part("layer", 11, final_norm=True, decoder=True)
    assert part_of(f"{prefix}norm") == Part("norm", 0, final_norm=True, decoder=True)


def test_other_families_go_by_their_own_names():
    assert part_of("transformer.h.3") == Part("layer", 3, final_norm=True, decoder=True)
    assert part_of("transformer.ln_f") == Part("norm", 0, final_norm=True, decoder=True)
    assert part_of("bert.encoder.layer.3") == Part("layer", 3, final_norm=False, decoder=False)
    assert part_of("electra.encoder.layer.0") == Part("layer", 0, final_norm=False, decoder=False)
    assert part_of("embeddings") == Part("embeddings", 0, final_norm=False, decoder=False)


@pytest.mark.parametrize(
    "path", ["model.layers.1.mlp", "model.layers", "lm_head", "layer3.0", "vision.model.layers.1", "model.layers.x"]
)
def test_what_is_none_of_these_parts_has_no_name(path):
    assert part_of(path) is None
    assert megatron_path(path) is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("model.embed_tokens", "embedding"),
        ("model.layers.7", "decoder.layers.7"),
        ("model.layers.7.input_layernorm", "decoder.layers.7.input_layernorm"),
        ("model.norm", "decoder.final_layernorm"),
        ("transformer.h.7", "decoder.layers.7"),
        ("h.7", "decoder.layers.7"),
        ("transformer.ln_f", "decoder.final_layernorm"),
    ],
)
def test_megatron_has_its_own_names_for_decoders(path, name):
    assert megatron_path(path) == name


@pytest.mark.parametrize(
    "path", ["bert.encoder.layer.1", "model.norm.input_layernorm", "model.layers.1.input_layernorm.weight"]
)
def test_megatron_has_no_such_module(path):
    assert megatron_path(path) is None
