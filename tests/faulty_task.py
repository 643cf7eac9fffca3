"""A task any of whose methods goes wrong when a test asks for it, in whatever process it lives."""

import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from small_tasks import Clusters
from torch import nn


def raise_error() -> None:
    raise ValueError("the tape is full")


FAULTS: Mapping[str, Callable[[], object]] = {
    "raises": raise_error,
    "leaves": lambda: sys.exit(0),
    "dies": lambda: os._exit(3),
    "hangs": lambda: threading.Event().wait(),
}
"""What hangs waits for ever: its controller ends it, and the kernel does once that is gone."""


OF_A_STUDENT = ("student", "parameter_groups", "labels", "loss", "metrics", "metric_objects", "score")
"""Called for one student: its run ends with the error."""

OF_A_COHORT = ("train_data", "sample_weights", "collate", "forward", "outputs", "logits", "mask")
"""Called first for what a cohort shares: its runs are tried once more."""

OF_THE_CHECK = ("teacher", "valid_data", "test_data", "tokenizers")
"""Not called in a run."""


class Faulty(Clusters):
    """Its file holds the names of a method and of a fault, which comes once, or for ever if a third word says so.

    Afterwards it says whether the fault has come, and the task hangs.
    """

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = Path(file)

    def go_wrong(self, method: str) -> None:
        """Do what the file asks for, if it asks for it here."""
        asked = self.file.read_text(encoding="utf-8").split()
        if asked and asked[0] == method:
            if len(asked) == 2:
                self.file.write_text("hangs" if asked[1] == "hangs" else "", encoding="utf-8")
            FAULTS[asked[1]]()

    def teacher(self) -> nn.Module:
        self.go_wrong("teacher")
        return super().teacher()

    def student(self) -> nn.Module:
        self.go_wrong("student")
        return super().student()

    def train_data(self, seed: int) -> Any:
        self.go_wrong("train_data")
        return super().train_data()

    def valid_data(self) -> Any:
        self.go_wrong("valid_data")
        return super().valid_data()

    def test_data(self) -> Any:
        self.go_wrong("test_data")
        return super().test_data()

    def sample_weights(self, seed: int) -> Any:
        self.go_wrong("sample_weights")
        return super().sample_weights()

    def parameter_groups(self, student: nn.Module, lr: float) -> Any:
        self.go_wrong("parameter_groups")
        return super().parameter_groups(student, lr)

    def collate(self, samples: list[Any]) -> Any:
        self.go_wrong("collate")
        return super().collate(samples)

    def forward(self, model: nn.Module, batch: Any) -> Any:
        self.go_wrong("forward")
        return super().forward(model, batch)

    def outputs(self, output: Any) -> Any:
        self.go_wrong("outputs")
        return super().outputs(output)

    def logits(self, output: Any) -> Any:
        self.go_wrong("logits")
        return super().logits(output)

    def labels(self, batch: Any) -> Any:
        self.go_wrong("labels")
        return super().labels(batch)

    def loss(self, output: Any, batch: Any) -> Any:
        self.go_wrong("loss")
        return super().loss(output, batch)

    def mask(self, batch: Any) -> Any:
        self.go_wrong("mask")
        return super().mask(batch)

    def metrics(self, output: Any, batch: Any) -> Any:
        self.go_wrong("metrics")
        return super().metrics(output, batch)

    def metric_objects(self) -> Any:
        self.go_wrong("metric_objects")
        return super().metric_objects()

    def score(self, outputs: Any, labels: Any) -> dict[str, float]:
        self.go_wrong("score")
        return {"share_of_ones": float((labels == 1).float().mean())}

    def tokenizers(self) -> Any:
        self.go_wrong("tokenizers")
        return super().tokenizers()
