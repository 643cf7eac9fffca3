import pytest
import torch
from torch import nn

from mapsearch.core.errors import LayerNotFound
from mapsearch.features.taps import FeatureTaps, feature_of

X = torch.randn(4, 3)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Linear(8, 2))


def hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def test_features_are_the_outputs_and_carry_gradients():
    model = network()
    with FeatureTaps(model, ["0", "3"]) as taps:
        output = model(X)
        features = taps.take()
    assert features["3"] is output
    assert torch.equal(features["0"], model[0](X))
    features["0"].sum().backward()
    assert model[0].weight.grad is not None


def test_hooks_are_gone_after_with_and_after_an_error():
    model = network()
    with FeatureTaps(model, ["0", "3"]):
        assert hooks(model) == 2
    assert hooks(model) == 0
    with pytest.raises(RuntimeError, match="cannot be multiplied"), FeatureTaps(model, ["0"]):
        model(X[:, :2])
    assert hooks(model) == 0
    assert torch.backends.mha.get_fastpath_enabled()


def test_an_output_overwritten_in_place_is_found():
    model = network()
    with FeatureTaps(model, ["0", "1", "3"]) as taps:
        model(X)
        assert taps.overwritten() == ("1",)
        assert float(taps.take()["1"].detach().min()) == 0.0


def test_a_copied_output_keeps_what_the_layer_put_out_and_its_gradient():
    model = network()
    with FeatureTaps(model, ["1"], copied=["1"]) as taps:
        model(X)
        assert taps.overwritten() == ()
        feature = taps.take()["1"]
    assert float(feature.detach().min()) < 0
    feature.square().sum().backward()
    assert model[0].weight.grad is not None


def test_calls_are_counted_until_taken():
    model = network()
    with FeatureTaps(model, ["0"]) as taps:
        assert taps.calls() == {"0": 0}
        model(X), model(X)
        assert taps.calls() == {"0": 2}
        with pytest.raises(LayerNotFound, match=r"`0`.* 2 times"):
            taps.take()
        assert taps.calls() == {"0": 0}


def test_a_layer_that_did_not_run_cannot_be_taken():
    with (
        FeatureTaps(network(), ["0"]) as taps,
        pytest.raises(LayerNotFound, match=r"`0`.* 0 times.*`layerdrop=0`"),
    ):
        taps.take()


def test_a_layer_that_puts_out_nothing_cannot_be_taken():
    class Silent(nn.Module):
        def forward(self, x):
            return None

    model = Silent()
    holder = nn.ModuleDict({"silent": model})
    with FeatureTaps(holder, ["silent"]) as taps:
        model(X)
        with pytest.raises(LayerNotFound, match=r"`silent`.*tensor"):
            taps.take()


def test_memory_stays_flat_whether_features_are_taken_or_not():
    model = network()
    alive = []
    handle = model[0].register_forward_hook(lambda module, args, output: alive.append(torch.UntypedStorage._weak_ref(
        output.untyped_storage()
    )))  # fmt: skip
    with FeatureTaps(model, ["0"]) as taps, torch.no_grad():
        for _ in range(50):
            model(X)
        assert sum(not torch.UntypedStorage._expired(ref) for ref in alive) <= 2
        with pytest.raises(LayerNotFound, match="50 times"):
            taps.take()
        assert sum(not torch.UntypedStorage._expired(ref) for ref in alive) <= 1
    handle.remove()


def test_an_unknown_layer_comes_with_close_matches():
    with pytest.raises(LayerNotFound, match=r"`blocks.1`; did you mean `block.1` or"):
        FeatureTaps(nn.ModuleDict({"block": network()}), ["blocks.1"])


@pytest.mark.parametrize("prefix", ["module", "_orig_mod"])
def test_a_wrapped_model_answers_to_the_names_of_the_bare_one(prefix):
    class Wrapped(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.add_module(prefix, inner)

        def forward(self, x):
            return getattr(self, prefix)(x)

    model = Wrapped(network())
    with FeatureTaps(model, ["0", f"{prefix}.3"]) as taps:
        model(X)
        assert set(taps.take()) == {"0", f"{prefix}.3"}


def test_padded_batches_of_a_frozen_transformer_keep_their_axes():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval().requires_grad_(False)
    mask = torch.tensor([[False, False, True, True], [False, True, True, True]])
    with FeatureTaps(model, ["layers.0", "layers.0.linear1"]) as taps:
        model(torch.randn(2, 4, 8), src_key_padding_mask=mask)
        assert {path: list(x.shape) for path, x in taps.take().items()} == {
            "layers.0": [2, 4, 8], "layers.0.linear1": [2, 4, 16],
        }  # fmt: skip


def test_features_of_a_forward_in_inference_mode_are_captured():
    model = network()
    with FeatureTaps(model, ["0"]) as taps, torch.inference_mode():
        model(X)
        assert taps.overwritten() == ()
        assert taps.take()["0"].shape == (4, 8)


class Output:
    last_hidden_state = X


@pytest.mark.parametrize(
    ("output", "feature"),
    [
        (X, X), ((X, None), X), ([X], X), ({"hidden": X}, X), (Output(), X), (((X, X), X), X),
        (None, None), ((), None), ({}, None), ((None, X), None), ("text", None), (3.0, None),
    ],
)  # fmt: skip
def test_the_feature_of_every_kind_of_output(output, feature):
    assert feature_of(output) is feature


def test_the_fused_path_comes_back_whatever_the_order_taps_are_left_in():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    first, second = FeatureTaps(net, ["0"]), FeatureTaps(net, ["1"])
    first.__enter__(), second.__enter__()
    assert not torch.backends.mha.get_fastpath_enabled()
    first.__exit__(None, None, None)
    assert not torch.backends.mha.get_fastpath_enabled()
    second.__exit__(None, None, None)
    assert torch.backends.mha.get_fastpath_enabled()
