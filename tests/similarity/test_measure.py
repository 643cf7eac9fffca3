import pytest
import torch
from torch import nn

from mapsearch.core.errors import LayerNotFound, SpecError, TaskError
from mapsearch.similarity.measure import compare


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return torch.relu_(self.drop(self.linear(x)) + x)  # overwritten in place


class Words(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.words = nn.Embedding(20, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.head = nn.Linear(width, 2)

    def forward(self, words):
        x = self.words(words)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


def networks():
    torch.manual_seed(0)
    return Words(16, 3), Words(8, 2)


def batches(padding, n=96, length=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(1, 20, (n, length), generator=generator)
    real = torch.arange(length) < torch.randint(2, length + 1, (n, 1), generator=generator)
    words = words.masked_fill(~real, padding)
    return [(words[i : i + 40], real[i : i + 40]) for i in range(0, n, 40)]


def test_two_networks_in_one_call():
    teacher, student = networks()
    similarity = compare(teacher, student, batches(0))
    assert similarity.student_layers == ("blocks.0", "blocks.1")
    assert similarity.teacher_layers == ("blocks.0", "blocks.1", "blocks.2")
    assert [len(row) for row in similarity.values] == [3, 3]
    assert similarity.n_samples == 96
    assert 0 < similarity.noise_floor < 0.5


def test_a_network_is_like_itself():
    teacher, _ = networks()
    values = compare(teacher, teacher, batches(0)).values
    assert [values[i][i] for i in range(3)] == pytest.approx([1.0] * 3, abs=1e-6)


def test_padding_changes_nothing_when_it_is_masked():
    teacher, student = networks()
    masked = [compare(teacher, student, batches(p), mask=lambda batch: batch[1]).values for p in (0, 7)]
    unmasked = compare(teacher, student, batches(7)).values
    for row, other, without in zip(*masked, unmasked, strict=True):
        assert row == pytest.approx(other, abs=1e-9)
        assert row != pytest.approx(without, abs=1e-3)


def test_padding_may_even_be_nan():
    teacher, student = networks()
    expected = compare(teacher, student, batches(0), mask=lambda batch: batch[1]).values
    with torch.no_grad():
        teacher.words.weight[0], student.words.weight[0] = torch.nan, torch.nan
    found = compare(teacher, student, batches(0), mask=lambda batch: batch[1].long()).values
    assert [list(row) for row in found] == [pytest.approx(row, abs=1e-9) for row in expected]


def test_modes_and_hooks_are_as_before():
    teacher, student = networks()
    teacher.eval()
    compare(teacher, student, batches(0))
    with pytest.raises(ZeroDivisionError):
        compare(teacher, student, batches(0), mask=lambda batch: 1 // 0)
    assert (teacher.training, student.training) == (False, True)
    assert not any(m._forward_hooks for network in (teacher, student) for m in network.modules())


def test_layers_may_be_named():
    teacher, student = networks()
    similarity = compare(teacher, student, batches(0), teacher_layers=["blocks.2", "words"], student_layers=["*.1"])
    assert similarity.teacher_layers == ("words", "blocks.2")
    assert similarity.student_layers == ("blocks.1",)
    with pytest.raises(LayerNotFound, match=r"teacher has no layer `blocks\.7`; did you mean"):
        compare(teacher, student, batches(0), teacher_layers=["blocks.7"])


def test_too_few_samples_are_refused():
    teacher, student = networks()
    with pytest.raises(TaskError, match=r"at least 8 samples.* got 7 of 7"):
        compare(teacher, student, batches(0, n=7))
    with pytest.raises(TaskError, match=r"at least 8 samples.*no batch"):
        compare(teacher, student, [])


@pytest.mark.parametrize("n", [8, 20, 63])
def test_few_samples_are_measured_and_called_few(n):
    similarity = compare(*networks(), batches(0, n=n))
    assert similarity.n_samples == n
    assert any(f"{n} samples tell layers apart by chance" in note for note in similarity.notes)
    assert similarity.noise_floor > compare(*networks(), batches(0, n=256)).noise_floor


def mlp(width, depth, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(depth)), nn.Linear(width, 2)
    )


def vectors(n=512, width=12, size=128):
    return list(torch.randn(n, width, generator=torch.Generator().manual_seed(1)).split(size))


def test_what_was_measured_is_said():
    found = compare(mlp(32, 4), mlp(32, 2, 1), vectors(width=32))
    assert (found.measure, found.n_samples, found.features) == ("cka", 512, "vectors")
    assert found.estimator == "debiased, blocks of 64"
    assert [len(row) for row in found.standard_errors] == [4, 4]
    assert all(0 < error < 0.1 for row in found.standard_errors for error in row)
    assert found.notes == ()


def test_the_digest_is_of_the_samples_and_their_order():
    first, *rest = vectors()
    digests = [
        compare(mlp(12, 3), mlp(12, 2, seed), batches, samples=samples).digest
        for seed, batches, samples in [
            (1, [first, *rest], None), (2, [first, *rest], None), (1, [first.flip(0), *rest], None), (1, rest, None),
        ]
    ]  # fmt: skip
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    assert len(digests[0]) == 12


@pytest.mark.parametrize(("own", "first"), [(False, 8), (True, 128)])
def test_layers_are_found_on_few_samples_unless_the_forward_is_the_users(own, first):
    seen, teacher = [], mlp(12, 3)
    teacher.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    compare(teacher, mlp(12, 2), vectors(), **({"forward": lambda model, x: model(x)} if own else {}))
    assert seen == [first, 128, 128, 128, 128]


def test_a_network_that_changes_its_input_is_refused():
    class Spoils(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp(12, 3)

        def forward(self, x):
            return self.inner(x.add_(1))

    with pytest.raises(TaskError, match="the teacher's forward pass changes its input"):
        compare(Spoils(), mlp(12, 2), vectors())


@pytest.mark.parametrize("samples", [64, 100, 200])
def test_no_more_samples_are_looked_at_than_asked_for(samples):
    batches = vectors()
    limited = compare(mlp(12, 3), mlp(12, 2), batches, samples=samples)
    assert limited.n_samples == samples
    cut = list(torch.cat(batches)[:samples].split(128))
    assert limited.values == compare(mlp(12, 3), mlp(12, 2), cut).values


def test_it_stops_once_sure_enough_and_no_sooner():
    def n(tolerance):
        return compare(mlp(12, 3), mlp(12, 2), vectors(4096), tolerance=tolerance).n_samples

    assert n(None) == 4096
    assert n(1.0) == 512  # standard errors of fewer samples are themselves too rough
    assert 512 < n(0.02) < 4096
    assert n(1e-9) == 4096


def test_features_are_seen_before_the_network_overwrites_them():
    net, x = nn.Sequential(nn.Linear(12, 12), nn.ReLU(inplace=True), nn.Linear(12, 12), nn.Linear(12, 2)), vectors()
    plain = nn.Sequential(net[0], nn.ReLU(), net[2], net[3])
    layers = {"teacher_layers": ["0", "2"], "student_layers": ["0"]}
    assert compare(net, net, x, **layers).values == compare(plain, plain, x, **layers).values


class Encoder(nn.Module):
    """PyTorch's own transformer, whose layers are fused in eval mode."""

    def __init__(self, depth, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.words = nn.Embedding(20, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth)
        self.head = nn.Linear(16, 2)

    def forward(self, input_ids, attention_mask):
        return self.head(self.encoder(self.words(input_ids), src_key_padding_mask=attention_mask == 0)[:, 0])


def sentences(n=256, length=6, padding=0):
    generator = torch.Generator().manual_seed(0)
    words = torch.randint(1, 20, (n, length), generator=generator)
    real = torch.arange(length) < torch.randint(2, length + 1, (n, 1), generator=generator)
    return [
        {"input_ids": w, "attention_mask": m.long(), "labels": torch.zeros(len(w))}
        for w, m in zip(words.masked_fill(~real, padding).split(64), real.split(64), strict=True)
    ]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("tokens", ["mean", "first", "flatten", "samples"])
def test_dicts_masks_and_fused_layers_work_as_they_are(tokens):
    teacher, student = Encoder(3), Encoder(2, 1)
    found = compare(teacher, student, sentences(), tokens=tokens)
    assert found.student_layers == ("encoder.layers.0", "encoder.layers.1")
    again = compare(teacher, student, sentences(padding=7), tokens=tokens)
    assert [list(row) for row in found.values] == [pytest.approx(row, abs=1e-6) for row in again.values]
    assert found.n_samples == 256


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_layers_inside_a_fused_one_are_seen_too():
    found = compare(Encoder(2), Encoder(2), sentences(), teacher_layers=["encoder.layers.*.linear1"])
    outside = compare(Encoder(2), Encoder(2), sentences())
    assert found.teacher_layers == ("encoder.layers.0.linear1", "encoder.layers.1.linear1")
    assert found.student_layers == outside.student_layers
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_compiled_network_is_measured_as_it_was_written():
    plain = compare(mlp(32, 3), mlp(32, 2), vectors(width=32))
    compiled = torch.compile(mlp(32, 3), backend="eager")
    compiled(vectors(width=32)[0])
    found = compare(compiled, mlp(32, 2), vectors(width=32))
    assert found.values == plain.values
    assert found.teacher_layers == plain.teacher_layers


def test_tokens_as_samples_need_the_same_tokens_everywhere():
    with pytest.raises(TaskError, match=r"`tokens: samples`.*`0`"):
        compare(mlp(12, 3), mlp(12, 2), vectors(), tokens="samples")


def test_tokens_of_huge_norm_are_scaled_down_and_told():
    class Massive(Words):
        def forward(self, words):
            x = self.words(words)
            x = torch.cat([x[:, :1] * 1000, x[:, 1:]], 1)
            return self.head(self.blocks[1](self.blocks[0](x)).mean(1))

    torch.manual_seed(0)
    words = [w for w, _ in batches(0)]
    found = compare(Massive(16, 2), Words(8, 2), words)
    assert len(found.notes) == 1
    assert (
        "teacher: tokens of huge norm in 2 of 2 layers were scaled down, at most 16.7% of the tokens" in found.notes[0]
    )
    assert compare(Massive(16, 2), Words(8, 2), words, outliers="keep").notes == ()


def test_a_layer_that_is_not_finite_is_named():
    teacher = mlp(12, 3)
    with torch.no_grad():
        teacher[1][0].weight[0, 0] = torch.nan
    with pytest.raises(TaskError, match=r"teacher layer `1`.*inf or NaN"):
        compare(teacher, mlp(12, 2), vectors())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"measure": "ckaa"}, "`measure`.*did you mean `cka`"),
        (
            {"measure": "rsa", "estimator": "biased"},
            "`estimator: biased` .*cka, rbf_cka, distance_correlation, but",
        ),
        (
            {"measure": "rsa", "block": "all"},
            "`block: all` .*cka, procrustes, svcca, .*`measure: rsa`",
        ),
        ({"measure": "svcca", "block": 64}, "`measure: svcca` compares all samples at once"),
        ({"block": 3}, "`block`.*`auto` or `all` or a whole number >= 4.*got 3"),
        ({"samples": 7}, "`samples`"),
        ({"maps": "flat"}, "`maps`.*did you mean `flatten`"),
    ],
)
def test_options_that_cannot_be_are_refused(options, problem):
    with pytest.raises(SpecError, match=problem):
        compare(mlp(12, 3), mlp(12, 2), vectors(), **options)


def test_narrow_features_are_compared_all_at_once_and_it_hardly_differs():
    narrow = compare(mlp(4, 3), mlp(4, 2, 1), vectors(width=4))
    assert narrow.estimator == "debiased, all samples at once"
    blocks = compare(mlp(4, 3), mlp(4, 2, 1), vectors(width=4), block=64)
    assert [list(row) for row in narrow.values] == [pytest.approx(row, abs=0.05) for row in blocks.values]
