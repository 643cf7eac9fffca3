"""The measures of similarity by name: what each is made of, and the sums that compute it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_args

import torch
from torch import Tensor

from mapsearch.core.errors import SpecError, did_you_mean
from mapsearch.core.similarity import Block, EstimatorName, MeasureName, measure_problem
from mapsearch.measures import kernels
from mapsearch.measures.blocks import BlockSums, Kernel
from mapsearch.measures.covariances import CovarianceSums
from mapsearch.measures.estimate import Estimate


class Sums(Protocol):
    """What every measure is computed with: one pass, any number of batches, nothing that grows with them."""

    n_rows: int

    def reduce(self, network: int, layer: int, rows: Tensor) -> Any:
        """What is kept of one layer's rows `[n, D]` until the batch is counted; network 0 is the student."""

    def add(self, student: Sequence[Any], teacher: Sequence[Any]) -> bool:
        """Count a batch in; False asks for the same batch again, reduced anew."""

    def estimate(self) -> Estimate:
        """All that was measured so far."""


@dataclass(frozen=True)
class BlockMeasure:
    """A cosine between centred matrices of blocks of samples; `biased` is None where bias is no question."""

    kernel: Kernel
    biased: Kernel | None = None
    block: int = 64
    centre: bool = True


BLOCK_MEASURES: dict[MeasureName, BlockMeasure] = {
    "cka": BlockMeasure(kernels.linear, kernels.linear_biased, centre=False),  # offsets leave it as it is
    "rbf_cka": BlockMeasure(kernels.rbf, kernels.rbf_biased),
    "distance_correlation": BlockMeasure(kernels.distance, kernels.distance_biased),
    "rsa": BlockMeasure(kernels.distance_ranks),
    "mutual_knn": BlockMeasure(kernels.neighbours, block=256),  # ten of 64 samples are no neighbourhood
}


def open_sums(
    measure: MeasureName,
    n_student: int,
    n_teacher: int,
    *,
    estimator: EstimatorName = "debiased",
    block: Block = "auto",
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Sums:
    """Sums of a measure between `n_student` and `n_teacher` layers.

    Args:
        block: samples compared with each other at once; `auto` is 64, or 256 for `mutual_knn`; `all`
            compares all samples of all batches, in feature space (`cka`, `procrustes`, `svcca`).
        dtype: what products within blocks are taken in; float64 is exact where TF32 rounds float32.

    Raises:
        SpecError: no such measure, or one that has no such estimator or block.
    """
    names = get_args(MeasureName)
    if measure not in names:
        near = did_you_mean(measure, names)
        raise SpecError(f"`measure` must be one of {', '.join(names)}, but got {measure!r}{near}")
    problem = measure_problem(measure, estimator, block)
    if problem:
        raise SpecError(problem)
    row = BLOCK_MEASURES.get(measure)
    if row is None or block == "all":
        return CovarianceSums(measure, n_student, n_teacher, estimator=estimator, seed=seed)
    kernel = row.biased if estimator == "biased" and row.biased else row.kernel
    return BlockSums(
        kernel, n_student, n_teacher, estimator=estimator if row.biased else "centred", seed=seed,
        block=row.block if block == "auto" else block, centre=row.centre, dtype=dtype,
    )  # fmt: skip
