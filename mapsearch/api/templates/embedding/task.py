"""An embedding task of your own: the networks output one vector for each text, and no labels are needed."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import mapsearch

PAD, LENGTH, N_TOPICS, WORDS_PER_TOPIC = 0, 12, 8, 10
VOCABULARY = 1 + N_TOPICS * WORDS_PER_TOPIC


class Embeddings(mapsearch.Task):
    """Padded texts on a mixture of topics, generated here so that nothing must be fetched; alike are those on the same.

    There are no labels, so the task has no loss: all that the student learns, it learns from the teacher.
    """

    def teacher(self) -> nn.Module:
        """Called once per process. Load your checkpoint here; this one is trained once and kept."""
        model, path = Encoder(width=32, n_layers=4), self.cache_dir / "embedding-teacher.pt"
        if not path.exists():
            fit(model)
            torch.save(model.state_dict(), path)
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    def student(self) -> nn.Module:
        """Called once per run, under that run's seed: always build a new one."""
        return Encoder(width=16, n_layers=2)

    def train_data(self) -> list[dict[str, Tensor]]:
        """Any dataset with len and indexing; `train_data(self, seed)` may draw it anew for each seed."""
        return texts(2000, seed=1)

    def valid_data(self) -> list[dict[str, Tensor]]:
        return texts(400, seed=2)

    def test_data(self) -> list[dict[str, Tensor]]:
        """Seen by the verdict only. Leave it out, and half of valid_data is set aside."""
        return texts(400, seed=3)

    # The output of `forward` is the embedding. If yours is an object or a dict, say which tensor it is:
    #
    # def outputs(self, output):
    #     return output.last_hidden_state[:, 0]
    #
    # What the embeddings are for is measured by `score`, which gets those of the whole set at once. `labels` are those
    # of your samples, which teach nothing here, or None; name the metric in study.yaml (`metric: probe`):
    #
    # def score(self, outputs, labels):
    #     return {"probe": cross_val_score(RidgeClassifier(), outputs, labels).mean()}


class Encoder(nn.Module):
    """A transformer encoder whose masked mean is projected to an embedding `[B, 32]`."""

    def __init__(self, width: int, n_layers: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width, padding_idx=PAD)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, n_layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, 32)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        x = self.encoder(self.embed(input_ids), src_key_padding_mask=~attention_mask.bool())
        weight = attention_mask.unsqueeze(-1).to(x.dtype)
        return self.head((x * weight).sum(1) / weight.sum(1))


def texts(n: int, seed: int) -> list[dict[str, Tensor]]:
    """`n` samples with `input_ids` and `attention_mask`, `[LENGTH]` each."""
    generator = torch.Generator().manual_seed(seed)
    columns = write(mixtures(n, generator), generator)
    return [dict(zip(("input_ids", "attention_mask"), sample, strict=True)) for sample in zip(*columns, strict=True)]


def mixtures(n: int, generator: torch.Generator) -> Tensor:
    """How much of each topic a text is on, `[n, N_TOPICS]`: mostly on one or two."""
    return F.normalize(torch.rand(n, N_TOPICS, generator=generator) ** 6, p=1, dim=1)


def write(topics: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One text on each mixture: ids and mask, `[n, LENGTH]` each; word `w` is one of topic `(w - 1) % N_TOPICS`."""
    topic = torch.multinomial(topics, LENGTH, replacement=True, generator=generator)
    word = torch.randint(WORDS_PER_TOPIC, topic.shape, generator=generator)
    lengths = torch.randint(6, LENGTH + 1, (len(topics), 1), generator=generator)
    mask = (torch.arange(LENGTH) < lengths).long()
    return (1 + topic + N_TOPICS * word) * mask, mask


def fit(model: nn.Module, steps: int = 200, temperature: float = 0.1) -> None:
    """Two texts on the same mixture shall be nearer to each other than to the others of the batch (InfoNCE)."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(steps):
        topics = mixtures(64, generator)
        a, b = (F.normalize(model(*write(topics, generator)), dim=1) for _ in range(2))
        F.cross_entropy(a @ b.T / temperature, torch.arange(len(topics))).backward()
        optimizer.step()
        optimizer.zero_grad()
