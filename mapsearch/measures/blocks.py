"""All layer pairs in one pass, block by block: Gram matrices go in, one matrix product compares all layers."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mapsearch.measures.estimate import Estimate, NotFinite, cosines, floors, jackknife

Kernel = Callable[[Tensor], Tensor]

N_GROUPS, N_REPLICATES = 20, 32
EARLY_BLOCKS, EARLY_SHUFFLES = 2, 4
CHUNK = 64**2
OFFSET = 0.99
"""Share of a Gram matrix's diagonal that its mean may reach: above it a common offset eats the digits."""
LEAST, LARGEST = 1e-30, 1e30
"""Squared norms outside of these leave float32's range in the products that follow."""


class BlockSums:
    """Sums over blocks of samples from which the similarity of all layer pairs comes out.

    Each layer's Gram matrix of a block is made once and centred once by the kernel; the cosine of
    two centred matrices, with numerators and denominators added up over blocks before dividing, is
    the similarity of the two layers. A batch of `n` samples is cut into `ceil(n / block)` consecutive
    blocks of near-equal size; a block counts by its samples, one of fewer than four is passed over.
    Work per sample: `2 * block * (widths of all layers + S * T)` multiplications, whatever the number
    of samples. A smaller block is cheaper and a little noisier, never biased.

    Products are taken in float32 and summed in float64. A layer whose features share a large offset
    or leave float32's range is centred and scaled first; `add` finds that out and asks for
    the batch again. A layer that is measured with others costs one Gram matrix, not one per pair.

    Standard errors are a jackknife over groups of blocks; they take samples for independent. What
    chance would show comes from the same blocks with one network's samples permuted, under random signs.

    Sources: Nguyen, Raghu and Kornblith 2021, eq. 2-3 (sums over minibatches before dividing).
    Not to be confused with the mean of per-batch values, which keeps the bias of the batch size.
    """

    def __init__(
        self, kernel: Kernel, n_student: int, n_teacher: int, *, estimator: str, block: int = 64, seed: int = 0,
        centre: bool = False,
    ) -> None:  # fmt: skip
        self.n_rows = 0
        self._kernel, self._block, self._estimator = kernel, block, f"{estimator}, blocks of {block}"
        self._n_blocks = 0
        # per network and layer: None while plain float32 will do, else the unit its features are measured in
        self._units: tuple[list[float | None], ...] = (
            [0.0 if centre else None] * n_student, [0.0 if centre else None] * n_teacher,
        )  # fmt: skip
        self._scales = torch.zeros(n_student), torch.zeros(n_teacher)
        self._cross = torch.zeros(N_GROUPS, n_student, n_teacher, dtype=torch.float64)
        self._student = torch.zeros(N_GROUPS, n_student, dtype=torch.float64)
        self._teacher = torch.zeros(N_GROUPS, n_teacher, dtype=torch.float64)
        self._shuffled = torch.zeros(N_REPLICATES, n_student, n_teacher, dtype=torch.float64)
        self._random = torch.Generator().manual_seed(seed)

    def reduce(self, network: int, layer: int, rows: Tensor) -> list[Tensor]:
        """The Gram matrices of one layer's rows `[n, D]`: `[blocks, size, size]` for each of at most two sizes.

        Args:
            network: 0 for the student, 1 for the teacher.
        """
        rows = self._in_range(network, layer, rows.detach())
        grams, start = [], 0
        for count, size in _cut(len(rows), self._block):
            part = rows[start : start + count * size].reshape(count, size, -1)
            grams.append(part @ part.mT)
            start += count * size
        return grams

    def add(self, student: Sequence[list[Tensor]], teacher: Sequence[list[Tensor]]) -> bool:
        """Count one batch in, or not: False asks for the same batch again, reduced anew.

        Raises:
            NotFinite: a feature holds inf or NaN.
        """
        stacks = [
            tuple(torch.stack(grams, dim=1) for grams in network)  # [blocks, layers, size, size]
            for network in (zip(*student, strict=True), zip(*teacher, strict=True))
        ]
        if not stacks[0]:
            return True
        again = [self._watch(network, found) for network, found in enumerate(stacks)]
        if any(again):
            return False
        for s, t in zip(*stacks, strict=True):
            self._count(self._centred(0, s), self._centred(1, t))
        return True

    def estimate(self) -> Estimate:
        """Values, standard errors and floors of all that was counted."""
        sums = self._cross, self._student, self._teacher
        totals = [part.sum(0) for part in sums]
        filled = min(self._n_blocks, N_GROUPS)
        left_out = cosines(*(total - part[:filled] for total, part in zip(totals, sums, strict=True)))
        floor = floors(cosines(self._shuffled, *totals[1:]))
        return Estimate(cosines(*totals), jackknife(left_out), *floor, self._estimator)

    def _in_range(self, network: int, layer: int, rows: Tensor) -> Tensor:
        unit = self._units[network][layer]
        if unit is None:
            return rows.float()
        wide = rows if rows.dtype == torch.float64 else rows.float()
        # any shift will do, for kernels see differences only; a float64 mean takes equal samples to exactly zero
        centred = wide - wide.mean(0, dtype=torch.float64).to(wide.dtype)
        if not unit:
            unit = self._units[network][layer] = float(centred.double().square().mean().sqrt())
        return centred.div_(unit or 1.0).float()

    def _watch(self, network: int, stacks: Sequence[Tensor]) -> bool:
        """Whether layers were found that plain float32 cannot hold; the first batch also fixes the scales."""
        own = torch.cat([x.diagonal(dim1=-2, dim2=-1).mean(-1) for x in stacks])  # [blocks, layers]
        mean = torch.cat([x.mean((-2, -1)) for x in stacks])
        own, mean = torch.stack([own, mean]).cpu()  # the one wait for the device per batch
        lost = (~(mean.abs() <= OFFSET * own) | (own < LEAST) | ~(own < LARGEST)).any(0)
        units = self._units[network]
        found = [layer for layer, is_lost in enumerate(lost.tolist()) if is_lost and units[layer] is None]
        for layer in found:  # blocks counted before stay comparable: the unit takes over from the scale
            units[layer] = float(self._scales[network][layer]) ** -0.5 if self._scales[network][layer] > 0 else 0.0
            self._scales[network][layer] = 1.0 if units[layer] else 0.0
        if found:
            return True
        if not bool(mean.isfinite().all()):
            raise NotFinite(network, int((~mean.isfinite()).any(0).nonzero()[0]))
        scales = self._scales[network]
        fresh = (scales == 0) & (own.mean(0) > 0)
        scales[fresh] = 1 / own.mean(0)[fresh]
        return False

    def _centred(self, network: int, grams: Tensor) -> Tensor:
        scales = self._scales[network].to(grams.device, grams.dtype)
        return self._kernel(grams.mul_(scales[:, None, None])).flatten(2)  # [blocks, layers, size^2]

    def _count(self, s: Tensor, t: Tensor) -> None:
        count, size = len(s), round(s.shape[-1] ** 0.5)
        t = t.to(s.device)
        weight = 1 / (size - 3)  # n samples times 1 / (n (n - 3)), the unbiased HSIC's divisor
        groups = torch.arange(self._n_blocks, self._n_blocks + count) % N_GROUPS
        self._cross.index_add_(0, groups, _products(s, t), alpha=weight)
        self._student.index_add_(0, groups, _wide(s.square().sum(-1)), alpha=weight)
        self._teacher.index_add_(0, groups, _wide(t.square().sum(-1)), alpha=weight)
        self._shuffled += weight * self._chance(s, t, size)
        self._n_blocks += count
        self.n_rows += count * size

    def _chance(self, s: Tensor, t: Tensor, size: int) -> Tensor:
        """What unrelated samples add to each replicate, `[R, S, T]`: permuted blocks' products under random signs."""
        products = []
        swapped = s.shape[1] < t.shape[1]  # of two networks whose samples no longer belong together, move the smaller
        fixed, moved = (t, s) if swapped else (s, t)
        for _ in range(EARLY_SHUFFLES if self._n_blocks < EARLY_BLOCKS else 1):
            order = torch.randperm(size, generator=self._random)
            entries = (order[:, None] * size + order).flatten().to(t.device)
            shuffled = moved.gather(2, entries.expand_as(moved))
            products.append(_products(shuffled, fixed) if swapped else _products(fixed, shuffled))
        which = torch.randint(len(products), (N_REPLICATES, len(s)), generator=self._random)
        signs = torch.randint(2, (N_REPLICATES, len(s)), generator=self._random).double() * 2 - 1
        drawn = torch.stack(products)[which, torch.arange(len(s))]  # [R, blocks, S, T]
        return torch.einsum("rb,rbst->rst", signs, drawn)


def _cut(n: int, block: int) -> list[tuple[int, int]]:
    """(number, size) of the blocks of `n` samples: as few as fit, larger ones first, none under four."""
    n_blocks = -(-n // block)
    small, n_large = divmod(n, n_blocks)
    cuts = [(n_large, small + 1), (n_blocks - n_large, small)]
    return [(count, size) for count, size in cuts if count and size >= 4]


def _products(s: Tensor, t: Tensor) -> Tensor:
    """All pairs' inner products `[blocks, S, T]` in float64; float32 adds up no more than a block of 64's."""
    parts = zip(torch.split(s, CHUNK, -1), torch.split(t, CHUNK, -1), strict=True)
    return torch.stack([a @ b.mT for a, b in parts]).cpu().double().sum(0)


def _wide(sums: Tensor) -> Tensor:
    return sums.cpu().double()
