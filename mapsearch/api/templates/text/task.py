"""A text task of your own: dict batches with `input_ids`, `attention_mask` and `labels`, as Hugging Face has them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import mapsearch

PAD, LENGTH, VOCABULARY, N_TOPICS = 0, 16, 41, 4


class Topics(mapsearch.Task):
    """Padded sequences of tokens, generated here so that nothing must be fetched: which topic has most of them?"""

    def teacher(self) -> nn.Module:
        """Called once per process. Load your checkpoint here; this one is trained once and kept."""
        model, path = Encoder(width=48, n_layers=4), self.cache_dir / "topics-teacher.pt"
        if not path.exists():
            fit(model, sentences(4000, seed=1))
            torch.save(model.state_dict(), path)
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    def student(self) -> nn.Module:
        """Called once per run, under that run's seed: always build a new one."""
        return Encoder(width=16, n_layers=2)

    def train_data(self) -> list[dict[str, Tensor]]:
        """Any dataset with len and indexing; label -100 means unlabelled."""
        return sentences(2000, seed=1, n_labels=200)

    def valid_data(self) -> list[dict[str, Tensor]]:
        return sentences(500, seed=2)

    def test_data(self) -> list[dict[str, Tensor]]:
        """Seen by the verdict only. Leave it out, and half of valid_data is set aside."""
        return sentences(500, seed=3)


class Encoder(nn.Module):
    """A transformer encoder whose masked mean is classified."""

    def __init__(self, width: int, n_layers: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width, padding_idx=PAD)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, N_TOPICS)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        x = self.encoder(self.embed(input_ids), src_key_padding_mask=~attention_mask.bool())
        weight = attention_mask.unsqueeze(-1).to(x.dtype)
        return self.head((x * weight).sum(1) / weight.sum(1))


def sentences(n: int, seed: int, n_labels: int | None = None) -> list[dict[str, Tensor]]:
    """`n` padded samples, of which the first `n_labels` keep their label; token `t` belongs to topic `t % 4`."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, VOCABULARY, (n, LENGTH), generator=generator)
    lengths = torch.randint(6, LENGTH + 1, (n, 1), generator=generator)
    mask = (torch.arange(LENGTH) < lengths).long()
    counts = F.one_hot(ids % N_TOPICS, N_TOPICS) * mask.unsqueeze(-1)
    labels = counts.sum(1).argmax(1)
    labels[n_labels if n_labels is not None else n :] = -100
    keys = ("input_ids", "attention_mask", "labels")
    return [dict(zip(keys, sample, strict=True)) for sample in zip(ids * mask, mask, labels, strict=True)]


def fit(model: nn.Module, samples: list[dict[str, Tensor]], steps: int = 300) -> None:
    batch = {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        chosen = torch.randint(len(samples), (64,))
        logits = model(batch["input_ids"][chosen], batch["attention_mask"][chosen])
        F.cross_entropy(logits, batch["labels"][chosen]).backward()
        optimizer.step()
        optimizer.zero_grad()
