"""Moments of two networks' rows, and the similarities that come out of them without another look at the rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mapsearch.measures.estimate import cosines

ROUNDING = 1e-12  # a difference this small against its largest term is nothing but rounding
VARIANCE_KEPT = 0.99


@dataclass(frozen=True)
class Moments:
    """Sums over rows of `[x, |x|^2, 1] [y, |y|^2, 1]^T`, for `S` x `T` layers side by side.

    `sums` is `[D_s + 2 S, D_t + 2 T]` float64, where layer `l` takes up `widths[l] + 2` rows or
    columns. One matrix product of a batch makes them all; they add up over batches and subtract
    where rows are left out. The moments of a layer with itself are those of `S = T = 1`.
    """

    sums: Tensor
    student_widths: tuple[int, ...]
    teacher_widths: tuple[int, ...]

    @property
    def n(self) -> float:
        """How many rows were added."""
        return float(self.sums[-1, -1])

    @cached_property
    def products(self) -> Tensor:
        """`X^T Y` of all pairs, `[D_s, D_t]`."""
        return self.sums[self._features(0)][:, self._features(1)]

    @cached_property
    def centred(self) -> Tensor:
        """`X^T Y` of all pairs after both were centred, `[D_s, D_t]`."""
        return self.products - self.total(0)[:, None] * self.total(1) / self.n

    @cached_property
    def lengths(self) -> Tensor:
        """Sum of `|x|^2 |y|^2`, `[S, T]`."""
        return self.sums[self._ends(0)][:, self._ends(1)]

    def total(self, network: int) -> Tensor:
        """Sum of the rows `[D]` of the student (0) or the teacher (1)."""
        return self._sums(network)[self._features(network), -1]

    def squares(self, network: int) -> Tensor:
        """Sum of `|x|^2` of each layer, `[S]` or `[T]`."""
        return self._sums(network)[self._ends(network), -1]

    def weighted(self, network: int) -> Tensor:
        """Sum of each feature times the other network's `|y|^2`, `[D_s, T]` or `[D_t, S]`."""
        return self._sums(network)[self._features(network)][:, self._ends(1 - network)]

    def by_layer(self, values: Tensor, network: int) -> Tensor:
        """Sum `[D, ...]` over each layer's features: `[S, ...]` or `[T, ...]`."""
        return torch.stack([part.sum(0) for part in torch.split(values, list(self._widths(network)))])

    def by_pair(self, values: Tensor) -> Tensor:
        """Sum `[D_s, D_t]` over each pair's features: `[S, T]`."""
        return self.by_layer(self.by_layer(values, 0).T, 1).T

    def blocks(self) -> list[list[Tensor]]:
        """The centred `X^T Y` of each pair, `[S][T]` of `[d_s, d_t]`."""
        rows = torch.split(self.centred, list(self.student_widths))
        return [list(torch.split(row, list(self.teacher_widths), 1)) for row in rows]

    def _widths(self, network: int) -> tuple[int, ...]:
        return self.teacher_widths if network else self.student_widths

    def _sums(self, network: int) -> Tensor:
        return self.sums.T if network else self.sums

    def _ends(self, network: int) -> Tensor:
        """Where each layer's `|x|^2` stands."""
        widths = torch.tensor(self._widths(network), device=self.sums.device)
        return (widths + 2).cumsum(0) - 2

    def _features(self, network: int) -> Tensor:
        """Where the features stand."""
        kept = torch.ones(self._sums(network).shape[0], dtype=torch.bool, device=self.sums.device)
        ends = self._ends(network)
        kept[ends], kept[ends + 1] = False, False
        return kept.nonzero()[:, 0]


def debiased_hsic(m: Moments) -> Tensor:
    """Unbiased HSIC of all pairs of linear kernels, `[S, T]`; zeros below four rows.

    `(tr(KL) + 1'K1 1'L1 / ((n-1)(n-2)) - 2 1'KL1 / (n-2)) / (n(n-3))` with the diagonals of `K` and
    `L` set to zero: Song et al. 2012, eq. 5. Without an `n` x `n` matrix, of sums over rows only:
    `tr(KL) = |X'Y|^2 - r`, `1'K1 = |s|^2 - sum |x|^2` and
    `1'KL1 = s'X'Yt - s' sum x |y|^2 - t' sum y |x|^2 + r`, where `r = sum |x|^2 |y|^2`, `s = sum x`
    and `t = sum y`. Trap: the terms cancel, so that they want float64 and features about zero.
    """
    n, s, t, r = m.n, m.total(0), m.total(1), m.lengths
    if n < 4:
        return torch.zeros_like(r)
    trace = m.by_pair(m.products.square()) - r
    ones_s = m.by_layer(s.square(), 0) - m.squares(0)
    ones_t = m.by_layer(t.square(), 1) - m.squares(1)
    ends_s, ends_t = m.by_layer(s[:, None] * m.weighted(0), 0), m.by_layer(t[:, None] * m.weighted(1), 1).T
    both = m.by_pair(s[:, None] * m.products * t) - ends_s - ends_t + r
    return (trace + ones_s[:, None] * ones_t / ((n - 1) * (n - 2)) - 2 * both / (n - 2)) / (n * (n - 3))


def biased_hsic(m: Moments) -> Tensor:
    """`|X'Y|^2 / (n-1)^2` of all centred pairs, `[S, T]`: Kornblith et al. 2019, eq. 1-3."""
    return m.by_pair(m.centred.square()) / max(m.n - 1, 1) ** 2


def cka(cross: Moments, students: Sequence[Moments], teachers: Sequence[Moments], *, debiased: bool) -> Tensor:
    """`HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))` of all pairs, `[S, T]`: Kornblith et al. 2019, eq. 4.

    Trap: channels of large variance own it; without `debiased` it tends to 1 for fewer rows than features.
    """
    hsic = debiased_hsic if debiased else biased_hsic
    s, t = (
        torch.stack([_beyond_rounding(hsic(m)[0, 0], m.products.square().sum() / m.n**2) for m in layers])
        for layers in (students, teachers)
    )
    return cosines(hsic(cross), s, t)


def procrustes(cross: Moments, students: Sequence[Moments], teachers: Sequence[Moments]) -> Tensor:
    """`|X'Y|_* / (|X| |Y|)` of all centred pairs, `[S, T]`, between 0 and 1; needs no layer's own moments.

    The cosine of the angle left after the best rotation. Sources: Ding et al. 2021, sec. 2 (its
    distance is `2 - 2` this); Williams et al. 2021. Trap: biased upwards where there are fewer rows
    than features; read it against the noise floor only.
    """
    nuclear = torch.stack([torch.stack([torch.linalg.svdvals(pair).sum() for pair in row]) for row in cross.blocks()])
    s, t = (
        _beyond_rounding(cross.squares(k) - cross.by_layer(cross.total(k).square(), k) / cross.n, cross.squares(k))
        for k in (0, 1)
    )
    return cosines(nuclear, s, t)


def svcca(cross: Moments, students: Sequence[Moments], teachers: Sequence[Moments]) -> Tensor:
    """Mean canonical correlation of the directions that hold 99 % of each layer's variance, `[S, T]`.

    Source: Raghu et al. 2017, sec. 2. Trap: directions of noise that pass the 99 % count as much as
    those of signal, and where there are fewer rows than directions every correlation is 1.
    """
    s, t = ([_whitening(m) for m in layers] for layers in (students, teachers))
    per_row = students[0].n / cross.n  # sums of shuffled rows may hold fewer than the layers' own
    return torch.stack(
        [
            torch.stack([_correlation(a.T @ pair @ b * per_row) for pair, b in zip(row, t, strict=True)])
            for row, a in zip(cross.blocks(), s, strict=True)
        ]
    )


def _whitening(m: Moments) -> Tensor:
    """`[d, k]`: the `k` leading directions of a layer, each over its singular value; `k` is 0 where it is constant."""
    ascending, vectors = torch.linalg.eigh(m.centred)
    variances, directions = ascending.flip(0).clamp(min=0), vectors.flip(1)
    k = int((variances.cumsum(0) < VARIANCE_KEPT * variances.sum()).sum()) + 1 if variances[0] > 0 else 0
    kept: Tensor = directions[:, :k] / variances[:k].sqrt()
    return kept


def _correlation(whitened: Tensor) -> Tensor:
    correlations = torch.linalg.svdvals(whitened).clamp(max=1)
    return correlations.mean() if len(correlations) else whitened.new_zeros(())


def _beyond_rounding(difference: Tensor, largest_term: Tensor) -> Tensor:
    """The difference, or 0 where it is no more than its terms' rounding."""
    return torch.where(difference > ROUNDING * largest_term, difference, 0.0)
