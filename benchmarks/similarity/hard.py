"""Inputs that break similarities, each against the value that float64 gives for the same features and estimator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.similarity import reference
from benchmarks.similarity.packages import Measure, attempt, ours, present
from benchmarks.similarity.replay import Features, replay
from benchmarks.similarity.workloads import Pair
from mapsearch.features.rows import token_order

BAR = 1e-5
Change = Callable[[Tensor], Tensor]
Values = dict[str, float | str]


@dataclass(frozen=True)
class Hard:
    """Rows `[N, D]` of each layer; where they are tokens, `length` to a sequence and `real [N]` of them."""

    student: list[Tensor]
    teacher: list[Tensor]
    real: Tensor | None = None
    length: int = 100

    def changed(self, change: Change) -> "Hard":
        """The same change to every layer."""
        return replace(self, student=[*map(change, self.student)], teacher=[*map(change, self.teacher)])


def hard_inputs(n: int, batch: int) -> dict[str, Hard]:
    """The list: `n` samples of 3 student and 4 teacher layers that share classes, widths 128 and 256."""
    plain = _plain(n)
    constant, twin = torch.full_like(plain.teacher[0], 0.1), plain.teacher[0]
    return (
        {name: plain.changed(change) for name, change in CHANGES.items()}
        | {f"last batch of {rest}": _plain(n - batch + rest) for rest in (1, 2, 3, 40)}
        | {
            "a constant layer": replace(plain, teacher=[*plain.teacher, constant]),
            "a duplicated layer": Hard([*plain.student, twin], [*plain.teacher, twin]),
            "10,000 tokens, 40 % padding": _padded(_plain(10_000))
            if n >= 2048
            else _padded(replace(_plain(1000), length=10)),
        }
        | {name: plain.changed(change) for name, change in BEYOND.items()}
    )


def _later(change: Change) -> Change:
    return lambda x: torch.cat([x[: len(x) // 4], change(x[len(x) // 4 :])])


CHANGES: dict[str, Change] = {
    "plain": lambda x: x,
    "offset 30": lambda x: x + 30,
    "one channel +3000": lambda x: x + 3000 * (torch.arange(x.shape[1]) == 0),
    "scale 1e-3": lambda x: x * 1e-3,
    "scale 1e4": lambda x: x * 1e4,
    "scale 1e10": lambda x: x * 1e10,
    "float16": lambda x: x.half(),
    "float16, scale 30": lambda x: (x * 30).half(),
    "bfloat16": lambda x: x.bfloat16(),
}
BEYOND: dict[str, Change] = {  # no bar names these; found by looking for what a running decision could miss
    "offset 8": lambda x: x + 8,
    "offset 1e4": lambda x: x + 1e4,
    "bfloat16, offset 30": lambda x: (x + 30).bfloat16(),
    "scale 1e-12": lambda x: x * 1e-12,
    "offset 30 in later batches only": _later(lambda x: x + 30),
    "scale 1e4 in later batches only": _later(lambda x: x * 1e4),
    "scale 1e-6 in later batches only": _later(lambda x: x * 1e-6),
    "one sample times 1000": lambda x: torch.cat([x[:1] * 1000, x[1:]]),
}


def errors(inputs: dict[str, Hard], batch: int) -> dict[str, Values]:
    """`{input: {who: largest error over all pairs, or what was raised}}`; a NaN is said as such."""
    return {
        name: {f"mapsearch, blocks of {m}": _error_of_ours(hard, batch, m) for m in (64, batch)}
        | {"mapsearch, all samples": _error_of_ours(hard, batch, "all")}
        | {who: _error_of_package(who, measure, hard, batch) for who, measure in present().items()}
        for name, hard in inputs.items()
    }


def _error_of_ours(hard: Hard, batch: int, block: int | str) -> float | str:
    if hard.real is None:
        pair, orders = replay(_batches(hard.student, batch), _batches(hard.teacher, batch)), None
        counts = [len(x) for x in pair.batches]
        measure = ours(block=block)
    else:
        masks = hard.real.view(-1, hard.length).split(batch // 8)
        pair = replay(*(_batches(_sequences(x, hard.length), batch // 8) for x in (hard.student, hard.teacher)))
        random = torch.Generator().manual_seed(0)
        orders = [token_order(mask, random) for mask in masks]  # which token comes when is mapsearch's choice
        counts = [int(mask.sum()) for mask in masks]
        measure = ours(block=block, tokens="samples", mask=lambda x: masks[int(x[0, 0])])
    sizes = [sum(counts)] if block == "all" else [size for n in counts for size in reference.near_equal(n, int(block))]
    expected = reference.debiased_cka(
        *(_wide(x, orders, batch // 8 * hard.length) for x in (hard.student, hard.teacher)), sizes, True
    )
    return _error(measure, pair, expected)


def _error_of_package(who: str, measure: Measure, hard: Hard, batch: int) -> float | str:
    """Packages know no mask: padding goes in with the rest. ckatorch is given batches as it takes them."""
    parts = _batches(hard.student, batch), _batches(hard.teacher, batch)
    real = torch.ones(len(hard.student[0]), dtype=torch.bool) if hard.real is None else hard.real
    counts = [int(part.sum()) for part in real.split(batch)]
    s, t = ([x[real].double().numpy() for x in layers] for layers in (hard.student, hard.teacher))
    if who == "ckatorch":  # compares the tokens of one sample, and only the last batch counts
        parts = tuple([[x[None] for x in layers] for layers in network] for network in parts)
        s, t, counts = [x[-counts[-1] :] for x in s], [x[-counts[-1] :] for x in t], counts[-1:]
    return _error(measure, replay(*parts), reference.debiased_cka(s, t, counts, by_rows=False))


def _error(measure: Measure, pair: Pair, expected: np.ndarray) -> float | str:
    values = attempt(measure, pair)
    if isinstance(values, str):
        return values
    error = float((values - torch.from_numpy(expected)).abs().max())
    return error if np.isfinite(error) else "NaN"


def bias(seeds: int, shapes: Sequence[tuple[int, int]]) -> dict[str, dict[str, list[float]]]:
    """`{"n = .., d = ..": {who: values over seeds}}` of unrelated Gaussian features, one batch of `n`."""
    measures = {
        "mapsearch, debiased, blocks of 64": ours(block=64),
        "mapsearch, debiased, one block": ours(block=max(n for n, _ in shapes)),
        "mapsearch, biased, one block": ours(block=max(n for n, _ in shapes), estimator="biased"),
    }
    found: dict[str, dict[str, list[float]]] = {}
    for n, d in shapes:
        row = found[f"n = {n}, d = {d}"] = {who: [] for who in measures} | {"biased, by the formula": []}
        for seed in range(seeds):
            x, y = torch.randn(2, n, d, generator=torch.Generator().manual_seed(seed))
            for who, measure in measures.items():
                row[who].append(float(measure(replay([[x]], [[y]]))))
            row["biased, by the formula"].append(reference.biased_cka(x.double().numpy(), y.double().numpy()))
    return found


def identical(inputs: dict[str, Hard], batch: int) -> Values:
    """How far the diagonal of networks compared with themselves is from 1, for each input without constant layers."""
    found: Values = {}
    for name, hard in inputs.items():
        if hard.real is None and "constant" not in name:
            layers = _batches(hard.teacher, batch)
            values = [attempt(ours(block=block), replay(layers, layers)) for block in (64, "all")]
            off = [v if isinstance(v, str) else float((v.diagonal() - 1).abs().max()) for v in values]
            found[name] = next((v for v in off if isinstance(v, str)), max(v for v in off if not isinstance(v, str)))
    return found


def _plain(n: int) -> Hard:
    random = torch.Generator().manual_seed(0)
    classes = torch.randn(10, 64, generator=random)[torch.randint(10, (n,), generator=random)]

    def layer(width: int, noise: float) -> Tensor:
        seen = classes @ torch.randn(64, width, generator=random) / 8
        return seen + noise * torch.randn(n, width, generator=random)

    return Hard([layer(128, 0.5 + i / 2) for i in range(3)], [layer(256, 0.5 + i / 2) for i in range(4)])


def _padded(hard: Hard) -> Hard:
    """Sequences of which 60 % are real at the mean; padding holds large numbers that mean nothing."""
    n, length = len(hard.student[0]), hard.length
    ends = torch.linspace(0.2, 1.0, n // length).mul(length).round()
    real = (torch.arange(length) < ends[:, None]).flatten()
    return replace(hard.changed(lambda x: torch.where(real[:, None], x, 100 * x.roll(1, 0))), real=real)


def _batches(layers: list[Tensor], batch: int) -> Features:
    return [list(parts) for parts in zip(*(x.split(batch) for x in layers), strict=True)]


def _sequences(layers: list[Tensor], length: int) -> list[Tensor]:
    return [x.unflatten(0, (-1, length)) for x in layers]


def _wide(layers: list[Tensor], orders: list[Tensor] | None, batch: int) -> list[np.ndarray]:
    """Each layer in float64, with the real tokens of each batch in their order."""
    if orders is not None:
        layers = [torch.cat([x[order] for x, order in zip(y.split(batch), orders, strict=True)]) for y in layers]
    return [x.double().numpy() for x in layers]
