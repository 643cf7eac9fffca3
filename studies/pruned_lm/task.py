"""A small causal language model, every second layer dropped, repaired with little text.

Prepare it with `pip install transformers`. The text is that of Python's own language reference, as `help("topics")`
shows it (PSF licence): 460,000 characters, the same for one version of Python.
"""

import copy
import os
from importlib.util import find_spec
from pydoc_data.topics import topics
from typing import Any

import torch
from torch import Tensor, nn

import mapsearch
from mapsearch.core.errors import TaskError

LENGTH = 64
"""Characters of a sample."""
N_VALID, N_TEST = 150, 300
CHARACTERS = "".join(sorted({*"".join(topics.values())}))
SIZES = {
    "vocab_size": len(CHARACTERS), "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 6,
    "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": LENGTH, "use_cache": False,
    "bos_token_id": None, "eos_token_id": None,
}  # fmt: skip
KEPT_LAYERS = (0, 2, 4)


class PrunedLanguageModel(mapsearch.Task):
    """`samples` of 64 characters to repair the student with, drawn anew for each seed; 150 to validate, 300 to test.

    Its loss and metrics are of the next character: labels are the inputs, as Hugging Face has them.
    """

    def __init__(self, samples: int = 200, teacher_steps: int = 1000) -> None:
        if find_spec("transformers") is None:
            raise TaskError("transformers is not installed: `pip install transformers`")
        os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported; everything here is made on the spot
        self.n_samples, self.teacher_steps = samples, teacher_steps
        text = "".join(topics[name] for name in sorted(topics))
        index = {character: i for i, character in enumerate(CHARACTERS)}
        ids = torch.tensor([index[character] for character in text])
        rows = ids[: len(ids) // LENGTH * LENGTH].view(-1, LENGTH)
        self.rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]

    def teacher(self) -> nn.Module:
        """Six layers, 0.35 million parameters, trained on all the other text, once; kept beside the study database."""
        model, path = self._network(), self.cache_dir / f"pruned-lm-teacher-{self.teacher_steps}.pt"
        if not path.exists():
            self._train(model)
            torch.save(model.state_dict(), path)
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    def student(self) -> nn.Module:
        """Layers 0, 2 and 4 of the teacher with its embeddings and its head, copied."""
        model = self.teacher()
        model.model.layers = nn.ModuleList(copy.deepcopy(model.model.layers[i]) for i in KEPT_LAYERS)
        for i, layer in enumerate(model.model.layers):
            layer.self_attn.layer_idx = i
        model.config.num_hidden_layers = len(KEPT_LAYERS)
        return model

    def train_data(self, seed: int = 0) -> list[dict[str, Tensor]]:
        """Samples drawn anew for each seed."""
        pool = self.rows[N_VALID + N_TEST :]
        return _samples(
            pool[torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))[: self.n_samples]]
        )

    def valid_data(self) -> list[dict[str, Tensor]]:
        return _samples(self.rows[:N_VALID])

    def test_data(self) -> list[dict[str, Tensor]]:
        return _samples(self.rows[N_VALID : N_VALID + N_TEST])

    def _network(self) -> Any:
        from transformers import LlamaConfig, LlamaForCausalLM

        return LlamaForCausalLM(LlamaConfig(**SIZES))

    def _train(self, model: Any) -> None:
        pool = self.rows[N_VALID + N_TEST :]
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=self.teacher_steps)
        for _ in range(self.teacher_steps):
            ids = pool[torch.randint(len(pool), (32,))]
            model(input_ids=ids, labels=ids).loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


def _samples(rows: Tensor) -> list[dict[str, Tensor]]:
    return [{"input_ids": row, "labels": row} for row in rows]
