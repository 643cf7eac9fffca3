import pytest
import torch
from torch import nn

from mapsearch.core.errors import LayerNotFound
from mapsearch.features.layers import choose_layers, list_layers

IMAGES = torch.randn(4, 3, 8, 8)
IDS = torch.tensor([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [6, 7, 8, 9, 0], [1, 1, 1, 1, 0]])


class Basic(nn.Module):
    def __init__(self, width, out):
        super().__init__()
        self.conv1 = nn.Conv2d(width, out, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.downsample = nn.Sequential(nn.Conv2d(width, out, 1), nn.BatchNorm2d(out)) if width != out else None

    def forward(self, x):
        y = self.conv2(self.relu(self.bn1(self.conv1(x))))
        return y + (self.downsample(x) if self.downsample is not None else x)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
        self.layer1 = nn.Sequential(Basic(4, 4), Basic(4, 4))
        self.layer2 = nn.Sequential(Basic(4, 8), Basic(8, 8))
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.layer2(self.layer1(self.stem(x))).mean((2, 3)))


class BertLayer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        return (self.norm(x + self.dense(self.attention(x, x, x)[0])),)  # a tuple, as Hugging Face gives it


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = nn.Embedding(12, 8)
        self.encoder = nn.Module()
        self.encoder.layer = nn.ModuleList(BertLayer(8) for _ in range(3))
        self.pooler = nn.Linear(8, 8)
        self.classifier = nn.Linear(8, 2)

    def forward(self, ids):
        x = self.embeddings(ids)
        for layer in self.encoder.layer:
            (x,) = layer(x)
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(12, 8)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3)
        self.head = nn.Linear(8, 2)

    def forward(self, ids):
        return self.head(self.encoder(self.embedding(ids), src_key_padding_mask=ids == 0).mean(1))


def sequential_cnn():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32, 5),
    )  # fmt: skip


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [(192, 16), (16, 16), (16, 16)]
        hidden = [module for pair in sizes for module in (nn.Linear(*pair), nn.ReLU())]
        self.net = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(16, 5))

    def forward(self, x):
        return self.net(x)


class Conv1dNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Conv1d(4, 8, 3), nn.ReLU(), nn.MaxPool1d(2)
        )
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.features(x.flatten(2)).mean(2))


def listed(model, x):
    return list_layers(model, lambda network: network(x), len(x))


def auto(model, x):
    return {
        layer.path: (layer.kind, layer.shape) for layer in choose_layers("teacher", model, listed(model, x), "auto")
    }


def of(model, x, path):
    return next(layer for layer in listed(model, x) if layer.path == path)


@pytest.mark.parametrize(
    ("make", "x", "chosen"),
    [
        (ResNet, IMAGES, {
            "layer1.0": ("map", (4, 6, 6)), "layer1.1": ("map", (4, 6, 6)),
            "layer2.0": ("map", (8, 6, 6)), "layer2.1": ("map", (8, 6, 6)),
        }),
        (sequential_cnn, IMAGES, {"0": ("map", (4, 6, 6)), "2": ("map", (8, 4, 4))}),
        (Mlp, IMAGES, {f"net.{i}": ("vector", (16,)) for i in (1, 3, 5)}),
        (Encoder, IDS, {f"encoder.layers.{i}": ("tokens", (5, 8)) for i in range(3)}),
        (Bert, IDS, {f"encoder.layer.{i}": ("tokens", (5, 8)) for i in range(3)}),
        (Conv1dNet, IMAGES, {"features.0": ("map", (4, 62)), "features.3": ("map", (8, 60))}),
    ],
)  # fmt: skip
def test_auto_takes_the_repeated_blocks_of_the_trunk(make, x, chosen):
    assert auto(make(), x) == chosen


def test_a_network_without_repeated_blocks_gives_its_last_usable_layer():
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.Tanh(), nn.Linear(8, 5))
    assert list(auto(model, IMAGES)) == ["2"]


def test_a_network_of_one_layer_has_nothing_to_choose():
    model = nn.Sequential(nn.Linear(8, 5))
    with pytest.raises(LayerNotFound, match=r"student.*no usable layer"):
        choose_layers("student", model, listed(model, IMAGES[:, 0, 0]), "auto")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TorchScript itself
@pytest.mark.parametrize("make", [torch.jit.script, lambda model: torch.jit.trace(model, IMAGES)])
def test_a_torchscript_network_is_refused_with_the_way_out(make):
    model = make(nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.Tanh(), nn.Linear(8, 5)))
    with pytest.raises(LayerNotFound, match=r"teacher.*TorchScript.*nn\.Module"):
        choose_layers("teacher", model, listed(model, IMAGES), "auto")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_part_of_a_network_is_a_layer_that_cannot_be_used():
    model = nn.Sequential(nn.Flatten(), torch.jit.script(nn.Linear(192, 8)), nn.Linear(8, 8), nn.Linear(8, 5))
    layers = {layer.path: layer for layer in listed(model, IMAGES)}
    assert "TorchScript" in layers["1"].problem
    assert list(auto(model, IMAGES)) == ["2"]


def test_layers_come_in_the_order_of_the_forward_pass_and_those_that_never_ran_last():
    paths = [layer.path for layer in listed(Bert(), IDS)]
    order = ["embeddings", "encoder.layer.0", "encoder.layer.2", "pooler", "classifier", "encoder.layer"]
    assert sorted(order, key=paths.index) == order


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        (nn.LSTM(8, 8), r"\[8, 4, 8\].*first axis.*batch of 4"),
        (nn.Flatten(0), r"\[192\].*axes"),
        (nn.Linear(8, 6), r"\[4, 3, 8, 6\].*channels"),
    ],
)
def test_a_layer_that_cannot_be_used_says_why(module, problem):
    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = module, nn.Linear(8, 2)

        def forward(self, x):
            if isinstance(self.layer, nn.LSTM):
                self.layer(x[:, 0].transpose(0, 1))
            else:
                self.layer(x)
            return self.head(x[:, 0, 0])

    x = IMAGES[:, :, :2] if isinstance(module, nn.Flatten) else IMAGES
    with pytest.raises(LayerNotFound, match=f"`layer` .*{problem}"):
        choose_layers("teacher", Holder(), listed(Holder(), x), ["layer"])


def test_a_layer_without_a_tensor_or_with_integers_says_so():
    class Says(nn.Module):
        def __init__(self, output):
            super().__init__()
            self.output = output

        def forward(self, x):
            return self.output

    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.none, self.ids, self.head = Says(None), Says(torch.ones(4, 2).long()), nn.Linear(8, 2)

        def forward(self, x):
            self.none(x), self.ids(x)
            return self.head(x[:, 0, 0])

    assert of(Holder(), IMAGES, "none").problem == "outputs no tensor"
    assert "torch.int64" in of(Holder(), IMAGES, "ids").problem


def test_calls_are_counted():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.block, self.unused = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x):
            return self.block(self.block(self.block(x)))

    layers = {layer.path: layer for layer in listed(Shared(), torch.randn(4, 8))}
    assert layers["block"].calls == 3
    assert "3 times" in layers["block"].problem
    assert layers["unused"].calls == 0
    assert "0 times" in layers["unused"].problem


def test_a_module_list_offers_its_children():
    problem = of(Bert(), IDS, "encoder.layer").problem
    assert "ModuleList" in problem
    assert "`encoder.layer.0` ... `encoder.layer.2`" in problem


def test_activations_of_a_1d_network_are_maps_as_well():
    kinds = {layer.path: layer.kind for layer in listed(Conv1dNet(), IMAGES)}
    assert [kinds[f"features.{i}"] for i in range(6)] == ["map"] * 6


def test_inner_layers_of_a_transformer_fire_although_pytorch_would_fuse_them():
    model = Encoder().requires_grad_(False)
    assert of(model, IDS, "encoder.layers.0.linear1").shape == (5, 16)
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_glob_stays_within_one_part_of_the_path():
    model = ResNet()
    layers = listed(model, IMAGES)
    assert [x.path for x in choose_layers("teacher", model, layers, ["layer*.1"])] == ["layer1.1", "layer2.1"]
    assert [x.path for x in choose_layers("teacher", model, layers, ["layer1.*"])] == ["layer1.0", "layer1.1"]


def test_unknown_names_come_all_at_once_with_close_matches():
    model = ResNet()
    with pytest.raises(LayerNotFound) as caught:
        choose_layers("student", model, listed(model, IMAGES), ["layer1.0", "layer1.0.conv3", "blocks.*"])
    close, unknown = caught.value.problems
    assert "`layer1.0.conv3`; did you mean `layer1.0.conv2` or `layer1.0.conv1` or `layer2.0.conv2`?" in close
    assert "`blocks.*`" in unknown
    assert all("mapsearch layers" in problem for problem in (close, unknown))


def test_the_model_is_left_as_it_was_even_when_it_fails():
    model = ResNet().train()
    listed(model, IMAGES)
    with pytest.raises(RuntimeError, match="expected input"):
        listed(model, IMAGES[:, :1])
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.backends.mha.get_fastpath_enabled()
