import torch
import torch.nn.functional as F
from findings import codes, message
from small_tasks import ResidualBlock, TokenNet
from torch import nn
from torch.utils.data import TensorDataset

from mapsearch.check import check
from mapsearch.tasks.loading import open_task
from mapsearch.tasks.task import Task


def test_padding_without_a_mask_is_refused_with_its_share(text, study):
    report = check(text(without=("attention_mask",)), study())
    assert "padding.unmasked" in codes(report, "error")
    assert "`attention_mask`" in message(report, "padding.unmasked")


def test_a_mask_of_the_task_is_as_good(text, study):
    loaded = text(without=("attention_mask",), mask=lambda self, batch: batch["input_ids"] != 0)
    assert not check(loaded, study()).errors


def test_a_mask_of_the_wrong_shape_or_type_is_refused(text, study):
    report = check(text(mask=lambda self, batch: batch["attention_mask"][:, 1:].bool()), study())
    assert "`blocks.0`, but got torch.bool [16, 9]" in message(report, "padding.mask_shape")
    report = check(text(mask=lambda self, batch: batch["attention_mask"]), study())
    assert "but got torch.int64 [16, 10]" in message(report, "padding.mask_shape")


def test_layers_that_the_mask_is_not_about_are_named(text, study):
    class Pooled(TokenNet):
        """Four tokens, each the mean of some."""

        def forward(self, input_ids, attention_mask):
            x = F.adaptive_avg_pool1d(self.embedding(input_ids).transpose(1, 2), 4).transpose(1, 2)
            for block in self.blocks:
                x = block(x)
            return self.head(x.mean(1))

    report = check(text(student=lambda: Pooled(4, 2)), study(space={"loss": ["gram"]}))
    assert "padding.masked" in codes(report, "ok")
    assert "student's `blocks.0`" in message(report, "padding.other_positions")


class Tagger(nn.Module):
    """A label for every step of a series: `[B, 1, L]` -> `[B, L, 3]`."""

    def __init__(self, width):
        super().__init__()
        self.blocks = nn.Sequential(*(nn.Sequential(nn.Conv1d(n, width, 3, padding=1), nn.Tanh()) for n in (1, width)))
        self.head = nn.Conv1d(width, 3, 1)

    def forward(self, x):
        return self.head(self.blocks(x)).movedim(1, -1)


class Series(Task):
    def __init__(self, mask=None):
        if mask is not None:
            self.mask = mask

    def teacher(self):
        return Tagger(6)

    def student(self):
        return Tagger(4)

    def train_data(self, n=80, seed=0):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(n, 1, 12, generator=generator)
        labels = (x[:, 0] > 0).long()
        labels[torch.arange(12) >= torch.randint(6, 12, (n, 1), generator=generator)] = -100
        return TensorDataset(x, labels)

    def valid_data(self):
        return self.train_data(40, seed=1)


def padding_of(task, study):
    report = check(open_task(task, "cpu"), study())
    return [(f.code, f.message) for f in report.findings if f.topic == "padding"]


def test_labels_that_end_unlabelled_without_a_mask_are_padding(study):
    ((code, _),) = padding_of(Series(), study)
    assert code == "padding.unmasked"


def test_a_mask_must_fit_the_logits_of_a_convolution_too(study):
    ((code, said),) = padding_of(Series(lambda batch: (batch[1] != -100).float()), study)
    assert code == "padding.mask_shape"
    assert "the outputs, but got torch.float32 [16, 12]" in said
    ((code, _),) = padding_of(Series(lambda batch: batch[1] != -100), study)
    assert code == "padding.masked"


class TwoParts(TokenNet):
    """Reads words in an encoder; a decoder of as many tokens attends to them."""

    def __init__(self, width, depth):
        super().__init__(width, depth)
        self.encoder, self.decoder = (
            self.blocks,
            nn.ModuleList(ResidualBlock(nn.Linear(width, width)) for _ in range(depth)),
        )
        del self.blocks

    def forward(self, input_ids, attention_mask):
        self.blocks = (*self.encoder, *self.decoder)
        return super().forward(input_ids, attention_mask)


def own_masks(names):
    return lambda self, batch: {name: batch["attention_mask"].bool() for name in names}


def test_each_part_of_a_network_may_have_a_mask_of_its_own(text, study):
    parts = {"teacher": lambda: TwoParts(8, 2), "student": lambda: TwoParts(4, 2)}
    report = check(text(mask=own_masks(["encoder", "decoder"]), **parts), study())
    assert "padding.masked" in codes(report, "ok")
    assert "padding.other_positions" not in codes(report, "warning")
    report = check(text(mask=own_masks(["encoder"]), **parts), study())
    assert "there is no mask of the tokens of the student's `decoder.0`" in message(report, "padding.other_positions")


def test_which_of_several_masks_is_wrong_is_named(text, study):
    def masks(self, batch):
        return {"encoder": batch["attention_mask"].bool(), "decoder": batch["attention_mask"][:, 1:].bool()}

    report = check(text(mask=masks, teacher=lambda: TwoParts(8, 2), student=lambda: TwoParts(4, 2)), study())
    assert "`mask(batch)` of `decoder` must be bool [16, 10]" in message(report, "padding.mask_shape")
