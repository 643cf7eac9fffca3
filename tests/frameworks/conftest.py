"""What the exports are verified on: the small studies of `tests/exports`, and two small Hugging Face transformers.

These tests need the frameworks themselves, so that `make test-frameworks` runs them in an environment of its own.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from exports.conftest import MAPPINGS, TASKS, Distilled, distilled, loaded_tasks
from frameworks.small_studies import small_study
from torch import nn

from mapsearch.exports.frameworks.report import VerifyReport
from mapsearch.exports.frameworks.verify import verify
from mapsearch.exports.write import write
from mapsearch.tasks.task import Task

__all__ = ["Distilled", "distilled", "loaded_tasks", "small_study"]  # fixtures are found by their names here
HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies here; frameworks warn of what they do, which is not ours to mend."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.frameworks)
            item.add_marker(pytest.mark.filterwarnings("ignore"))


class Sentences(Task):
    """Sequences of 3 to 8 tokens, padded to 8."""

    def train_data(self) -> Any:
        ids = torch.randint(1, 32, (32, 8), generator=torch.Generator().manual_seed(2))
        mask = (torch.arange(8) < torch.arange(32)[:, None] % 6 + 3).long()
        rows = zip(ids * mask, mask, self.truth(ids, mask), strict=True)
        return [{"input_ids": i, "attention_mask": m, "labels": y} for i, m, y in rows]

    def valid_data(self) -> Any:
        return self.train_data()

    def truth(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """One class per sentence."""
        return ids[:, 0] % 3


class Bert(Sentences):
    """Sentence classification by two BERTs."""

    def teacher(self) -> nn.Module:
        return self.bert(16, 4)

    def student(self) -> nn.Module:
        return self.bert(8, 2)

    @staticmethod
    def bert(width: int, depth: int) -> nn.Module:
        from transformers import BertConfig, BertForSequenceClassification

        config = BertConfig(
            vocab_size=32, hidden_size=width, num_hidden_layers=depth, num_attention_heads=2,
            intermediate_size=2 * width, max_position_embeddings=8, num_labels=3, attn_implementation="eager",
        )  # fmt: skip
        return BertForSequenceClassification(config)


class Llama(Sentences):
    """Next tokens by two Llamas."""

    def teacher(self) -> nn.Module:
        return self.llama(16, 4)

    def student(self) -> nn.Module:
        return self.llama(8, 2)

    def truth(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return ids.masked_fill(mask == 0, -100)

    @staticmethod
    def llama(width: int, depth: int) -> nn.Module:
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=32, hidden_size=width, num_hidden_layers=depth, num_attention_heads=2, num_key_value_heads=2,
            intermediate_size=2 * width, max_position_embeddings=8, pad_token_id=0, attn_implementation="eager",
        )  # fmt: skip
        return LlamaForCausalLM(config)


if find_spec("transformers") is not None:  # not every framework's environment has them
    TASKS |= {"bert": Bert, "llama": Llama}
MAPPINGS |= {
    network: [(f"{path}.0", f"{path}.0", 1.0), (f"{path}.0", f"{path}.1", 0.25), (f"{path}.1", f"{path}.3", 0.5)]
    for network, path in {"bert": "bert.encoder.layer", "llama": "model.layers"}.items()
}


@pytest.fixture
def verified(tmp_path: Path) -> Callable[..., VerifyReport]:
    """Write a study's export, run it in its framework, and compare: loss, gradient, and one step of training."""

    def run(
        target: str, study: Distilled, edit: Callable[[Path], None] | None = None, name: str = "", **options: Any
    ) -> VerifyReport:
        path = tmp_path / f"{name or f'export_{target}'}{SUFFIXES.get(target, '.py')}"
        write(target, study.source, path, **options)
        if edit is not None:
            edit(path)
        report = verify(path, target, study.source, study.loaded, study.space, study.train)
        assert report.here[0] > 0
        assert not any(m._forward_hooks for m in study.loaded.teacher.modules())
        return report

    return run


SUFFIXES = {"mapsearch": ".yaml", "torchdistill": ".yaml"}
