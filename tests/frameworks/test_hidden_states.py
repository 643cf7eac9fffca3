"""Places among the hidden states, held against real networks: what a module puts out is what stands there."""

import pytest
import torch

from mapsearch.exports.render.distillkit import hidden_state


def tiny(name):
    import transformers

    sizes = {"vocab_size": 32, "hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2}
    sizes |= {} if name in ("Bert", "Roberta") else {"num_key_value_heads": 2}
    sizes |= {"intermediate_size": 16, "max_position_embeddings": 8}
    gpt2 = {"vocab_size": 32, "n_embd": 8, "n_layer": 3, "n_head": 2, "n_positions": 8}
    config = getattr(transformers, f"{name}Config")(**(gpt2 if name == "GPT2" else sizes))
    return getattr(transformers, f"{name}Model")(config).eval()


@pytest.mark.parametrize(
    ("name", "embeddings", "layers", "norm"),
    [
        ("Llama", "embed_tokens", "layers", "norm"),
        ("Mistral", "embed_tokens", "layers", "norm"),
        ("Qwen2", "embed_tokens", "layers", "norm"),
        ("GPT2", "drop", "h", "ln_f"),
        ("Bert", "embeddings", "encoder.layer", None),
        ("Roberta", "embeddings", "encoder.layer", None),
    ],
)
def test_each_place_holds_the_output_of_its_module(name, embeddings, layers, norm):
    model, seen = tiny(name), {}
    last = f"{layers}.2"
    paths = [embeddings, f"{layers}.0", f"{layers}.1", last, *([norm] if norm else [])]
    for path in paths:
        model.get_submodule(path).register_forward_hook(
            lambda module, args, out, path=path: seen.update({path: out if torch.is_tensor(out) else out[0]})
        )
    ids = torch.randint(2, 32, (2, 4))
    hidden_states = model(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True).hidden_states
    right = {path: torch.equal(hidden_states[hidden_state(path)], seen[path]) for path in paths}
    assert right == {path: norm is None or path != last for path in paths}, "only behind a final norm the last is not"
