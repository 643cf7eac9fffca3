"""What a similarity costs: alone with its features replayed, end to end, by samples, by layers."""

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.similarity.packages import Measure, attempt, ours, present
from benchmarks.similarity.replay import recorded, replay
from benchmarks.similarity.timing import Spread, interleaved, ratios, spread
from benchmarks.similarity.workloads import Pair, forward_only, pair_of
from mapsearch.features.rows import RowRule, to_rows
from mapsearch.measures.estimate import cosines
from mapsearch.measures.grams import grams_of
from mapsearch.measures.kernels import u_centred
from mapsearch.measures.table import open_sums

FORWARD, NULL = "forward only", "forward only, again"
SMALL, EQUAL, POOLED = "mapsearch, blocks of 64", "mapsearch, blocks of the batch", "mapsearch, pooled, blocks of 64"
FLATTEN: dict[str, Any] = {"tokens": "flatten", "maps": "flatten"}
AVERAGE: dict[str, Any] = {"tokens": "mean", "maps": "mean"}


def our_measures(batch: int) -> dict[str, Measure]:
    """mapsearch in the three ways that are compared; packages only flatten."""
    return {
        SMALL: ours(block=64, **FLATTEN),
        EQUAL: ours(block=batch, **FLATTEN),
        POOLED: ours(block=64, **AVERAGE),
    }


def alone(name: str, n: int, batch: int, repeats: int, shrink: int = 1) -> dict[str, Spread | str]:
    """Similarity work over forward-only time: layer outputs are replayed from memory, all interleaved.

    `compare` is timed whole; `sums alone` leaves out its listing of layers, its digest and its result, `values alone`
    all that tells how sure a value is and whether float32 held it, and `products alone` all but the Gram matrices:
    no less can be done in blocks of 64.
    """
    pair = pair_of(name, n, batch, shrink=shrink)
    replayed = recorded(pair)
    measures = our_measures(batch) | present()
    failed = {who: found for who, m in measures.items() if isinstance(found := attempt(m, replayed), str)}
    cases: dict[str, Callable[[], object]] = {FORWARD: partial(forward_only, pair), NULL: partial(forward_only, pair)}
    cases |= {who: partial(attempt, m, replayed) for who, m in measures.items() if who not in failed}
    cases |= {
        f"{SMALL}, sums alone": partial(_sums_alone, replayed, 64, RowRule(**FLATTEN)),
        f"{POOLED}, sums alone": partial(_sums_alone, replayed, 64, RowRule(**AVERAGE)),
        f"{SMALL}, values alone": partial(_values_alone, replayed, 64),
        f"{SMALL}, products alone": partial(_products_alone, replayed, 64),
    }
    _sums_alone(replayed, 64, RowRule(**FLATTEN))
    _values_alone(replayed, 64)
    return ratios(interleaved(cases, repeats), to=FORWARD) | failed


@torch.inference_mode()
def _sums_alone(pair: Pair, block: int, rule: RowRule) -> Tensor:
    kinds = {2: "vector", 3: "tokens", 4: "map"}
    sums = open_sums("cka", len(pair.student.names), len(pair.teacher.names), block=block)
    for batch in pair.batches:
        done = False
        while not done:
            reduced: list[list[Any]] = [[], []]
            for network, model in enumerate(pair.networks):
                for i, name in enumerate(model.names):
                    feature = getattr(model, name)(int(batch[0, 0]))
                    rows = to_rows(feature, kinds[feature.ndim], rule, sampled=8).rows
                    reduced[network].append(sums.reduce(network, i, rows))
            done = sums.add(*reduced)
    return sums.estimate().values


@torch.inference_mode()
def _values_alone(pair: Pair, block: int) -> Tensor:
    """CKA and nothing else: no errors, no floors, and wrong where a layer has an offset or leaves float32's range."""
    n_student, cross, own = len(pair.student.names), torch.zeros(()), torch.zeros(())
    for batch in pair.batches:
        centred = u_centred(torch.stack([*_grams(pair, batch, block)]))  # [layers, blocks, block, block]
        flat = centred.flatten(2).transpose(0, 1)
        cross = cross + (flat[:, :n_student] @ flat[:, n_student:].mT).sum(0)
        own = own + torch.linalg.vector_norm(centred, dim=(-2, -1)).square().sum(1)
    return cosines(cross, own[:n_student], own[n_student:])


@torch.inference_mode()
def _products_alone(pair: Pair, block: int) -> None:
    for batch in pair.batches:
        deque(_grams(pair, batch, block), maxlen=0)


def _grams(pair: Pair, batch: Tensor, block: int) -> Iterator[Tensor]:
    """Each layer's Gram matrices `[blocks, block, block]`, the student's first."""
    for model in pair.networks:
        for name in model.names:
            yield grams_of(getattr(model, name)(int(batch[0, 0])).flatten(1).unflatten(0, (-1, block)))


def end_to_end(name: str, n: int, batch: int, repeats: int, shrink: int = 1) -> dict[str, Spread | str]:
    """Everything over forward-only time: capture, listing of layers, similarity. Resolves about 10 %."""
    pair = pair_of(name, n, batch, shrink=shrink)
    measures = {SMALL: ours(block=64, **FLATTEN), POOLED: ours(block=64, **AVERAGE)} | present()
    forward_only(pair)
    failed = {who: found for who, m in measures.items() if isinstance(found := attempt(m, pair), str)}
    cases: dict[str, Callable[[], object]] = {FORWARD: partial(forward_only, pair), NULL: partial(forward_only, pair)}
    cases |= {who: partial(attempt, m, pair) for who, m in measures.items() if who not in failed}
    return ratios(interleaved(cases, repeats), to=FORWARD) | failed


def by_layers(counts: list[tuple[int, int]], batch: int, n_batches: int, repeats: int) -> dict[str, dict[str, Spread]]:
    """Milliseconds per batch for `T` x `S` layers of width 512."""
    found = {}
    for n_teacher, n_student in counts:
        pair = _wide_pair(n_teacher, n_student, batch, n_batches)
        slow = {"torch-cka", "cka-pytorch", "ckatorch"} if n_teacher > 48 else {"ckatorch"}
        measures = {who: m for who, m in (our_measures(batch) | present()).items() if who not in slow | {POOLED}}
        cases: dict[str, Callable[[], object]] = {who: partial(attempt, m, pair) for who, m in measures.items()}
        cases[f"{SMALL}, sums alone"] = partial(_sums_alone, pair, 64, RowRule())
        cases[f"{SMALL}, products alone"] = partial(_products_alone, pair, 64)
        cases = {who: case for who, case in cases.items() if not isinstance(case(), str)}  # who fails takes no time
        seconds = interleaved(cases, repeats)
        found[f"{n_teacher} x {n_student}"] = {
            who: spread([1000 * second / n_batches for second in each]) for who, each in seconds.items()
        }
    return found


def by_samples(counts: list[int], batch: int, repeats: int) -> dict[int, Spread]:
    """Seconds for a number of samples, 12 x 6 layers of width 512."""
    pairs = {n: _wide_pair(12, 6, batch, n // batch) for n in counts}
    ours(block=64)(pairs[counts[0]])
    seconds = interleaved({str(n): partial(attempt, ours(block=64), pair) for n, pair in pairs.items()}, repeats)
    return {int(n): spread(values) for n, values in seconds.items()}


def _wide_pair(n_teacher: int, n_student: int, batch: int, n_batches: int) -> Pair:
    """Prepared layers of width 512 that share something; one batch's features again and again."""
    random = torch.Generator().manual_seed(0)
    shared = torch.randn(batch, 512, generator=random)
    layers = [shared + torch.randn(batch, 512, generator=random) for _ in range(n_teacher + n_student)]
    return replay([layers[n_teacher:]] * n_batches, [layers[:n_teacher]] * n_batches)
