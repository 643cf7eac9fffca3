"""Everyone who computes a similarity here, mapsearch and the public packages, each through its own front door.

One contract: a pair goes in, CKA of all layer pairs comes out, `[S, T]`; nobody sees the features beforehand.
"""

import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import SequentialSampler

import mapsearch
from benchmarks.similarity.workloads import Pair

Measure = Callable[[Pair], Tensor]


class Loader:
    """A pair's batches as the packages want them: like a `DataLoader`, `width` things in a batch."""

    drop_last = False
    dataset = "samples"

    def __init__(self, pair: Pair, width: int) -> None:
        self._batches = [(x, x)[:width] for x in pair.batches]
        self.sampler = SequentialSampler(self._batches)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        return iter(self._batches)


def ours(**options: Any) -> Measure:
    """`mapsearch.compare` with these options."""

    def measure(pair: Pair) -> Tensor:
        found = mapsearch.compare(
            pair.teacher, pair.student, pair.batches, teacher_layers=["block*"], student_layers=["block*"], **options
        )
        return torch.tensor(found.values, dtype=torch.float64)

    return measure


def torch_cka(pair: Pair) -> Tensor:
    """torch-cka as it comes: it leaves `no_grad` to its caller."""
    compared = _module("torch_cka").CKA(pair.teacher, pair.student, "teacher", "student", *_layers(pair))
    compared.compare(Loader(pair, 2))
    return compared.hsic_matrix.T.double()


def pytorch_cka(pair: Pair) -> Tensor:
    """pytorch-cka."""
    layers, others = _layers(pair)
    found = _module("cka").compute_cka(
        pair.teacher, pair.student, Loader(pair, 2), layers=layers, model2_layers=others, device="cpu", progress=False
    )
    return found[0].T.double()


def cka_pytorch(pair: Pair) -> Tensor:
    """cka-pytorch, one epoch (ten are its default)."""
    calculator = _module("cka_pytorch.cka").CKACalculator(
        pair.teacher, pair.student, *_layers(pair), device=torch.device("cpu"), verbose=False, hook_recursive=False
    )
    return calculator.calculate_cka_matrix(Loader(pair, 2), num_epochs=1).T.double()


def ckatorch(pair: Pair) -> Tensor:
    """ckatorch, one epoch (ten are its default). It compares the tokens within each sample, of the last batch."""
    compared = _module("ckatorch").CKA(pair.teacher, pair.student, *_layers(pair), "teacher", "student")
    return compared(Loader(pair, 1), epochs=1).T.double()


PACKAGES: dict[str, Measure] = {
    "torch-cka": torch_cka,
    "pytorch-cka": pytorch_cka,
    "cka-pytorch": cka_pytorch,
    "ckatorch": ckatorch,
}


def installed() -> dict[str, str]:
    """Version of each public package, or `absent`."""
    return {name: _version(name) for name in PACKAGES}


def present() -> dict[str, Measure]:
    """The public packages that are installed."""
    return {name: measure for name, measure in PACKAGES.items() if _version(name) != "absent"}


def attempt(measure: Measure, pair: Pair) -> Tensor | str:
    """The values, or the name of what was raised; hooks that a package leaves behind are removed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return measure(pair)
        except Exception as error:
            return type(error).__name__
        finally:  # cka-pytorch's would compute Gram matrices in everybody else's time
            for network in pair.networks:
                for module in network.modules():
                    module._forward_hooks.clear()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _module(name: str) -> Any:
    return import_module(name)


def _layers(pair: Pair) -> tuple[list[str], list[str]]:
    return pair.teacher.names, pair.student.names
