"""All layer pairs in one pass, block by block: Gram matrices go in, one matrix product compares all layers."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mapsearch.measures.estimate import Estimate, NotFinite, cosines, floors, jackknife
from mapsearch.measures.grams import block_sizes, grams_of

Kernel = Callable[[Tensor], Tensor]

N_GROUPS, N_REPLICATES = 20, 32
EARLY_BLOCKS, EARLY_SHUFFLES = 2, 4
MAX_PRODUCT_LENGTH = 64**2
"""Numbers that float32 adds up in one inner product; longer ones are summed in float64, part by part."""
MAX_MEAN_SHARE = 0.99
"""Share of a Gram matrix's diagonal that its mean may reach: above it a common offset eats the digits."""
MIN_SQUARED_NORM, MAX_SQUARED_NORM = 1e-30, 1e30
"""Squared norms outside of these leave float32's range in the products that follow."""


class BlockSums:
    """Sums over blocks of samples from which the similarity of all layer pairs comes out.

    Each layer's Gram matrix of a block is made once and centred once by the kernel; the cosine of
    two centred matrices, with numerators and denominators added up over blocks before dividing, is
    the similarity of the two layers. A batch of `n` samples is cut into `ceil(n / block)` consecutive
    blocks of near-equal size; a block counts by its samples, one of fewer than four is passed over.
    Work per sample: `2 * block * (widths of all layers + S * T)` multiplications, whatever the number
    of samples. A smaller block is cheaper and a little noisier, never biased.

    Products are taken in `dtype` and summed in float64. A layer whose features share a large offset
    or leave float32's range is centred and scaled first; `add` finds that out and asks for
    the batch again. A layer that is measured with others costs one Gram matrix, not one per pair.

    Standard errors are a jackknife over groups of blocks; they take samples for independent. What
    chance would show comes from the same blocks with one network's samples permuted, under random signs.

    Sources: Nguyen, Raghu and Kornblith 2021, eq. 2-3 (sums over minibatches before dividing).
    Not to be confused with the mean of per-batch values, which keeps the bias of the batch size.
    """

    def __init__(
        self, kernel: Kernel, n_student: int, n_teacher: int, *, estimator: str, block: int = 64, seed: int = 0,
        centre: bool = False, dtype: torch.dtype = torch.float32,
    ) -> None:  # fmt: skip
        self.n_rows = 0
        self._kernel, self._block, self._estimator = kernel, block, f"{estimator}, blocks of {block}"
        self._dtype = dtype
        self._n_blocks = 0
        self._stacks: dict[int, Tensor] = {}
        # of every layer, the student's first: what follows is done to all of them at once
        self._n_student, n_layers = n_student, n_student + n_teacher
        # None while plain float32 will do, else the unit its features are measured in
        self._units: list[float | None] = [0.0 if centre else None] * n_layers
        self._scales = torch.zeros(n_layers, dtype=dtype)
        self._cross = torch.zeros(N_GROUPS, n_student, n_teacher, dtype=torch.float64)
        self._own = torch.zeros(N_GROUPS, n_layers, dtype=torch.float64)
        self._shuffled = torch.zeros(N_REPLICATES, n_student, n_teacher, dtype=torch.float64)
        self._random = torch.Generator().manual_seed(seed)

    def reduce(self, network: int, layer: int, rows: Tensor) -> list[Tensor]:
        """The Gram matrices of one layer's rows `[n, D]`: `[blocks, size, size]` for each of at most two sizes.

        Args:
            network: 0 for the student, 1 for the teacher.
        """
        rows = self._in_range(network * self._n_student + layer, rows.detach())
        grams, start = [], 0
        for count, size in block_sizes(len(rows), self._block):
            grams.append(grams_of(rows[start : start + count * size].reshape(count, size, -1)))
            start += count * size
        return grams

    def add(self, student: Sequence[list[Tensor]], teacher: Sequence[list[Tensor]]) -> bool:
        """Count one batch in, or not: False asks for the same batch again, reduced anew.

        Raises:
            NotFinite: a feature holds inf or NaN.
        """
        grams = [*student, *teacher]
        if not grams[0]:
            return True
        device = grams[0][0].device
        stacks = [self._stack(same, device) for same in zip(*grams, strict=True)]
        self._stacks = {stack.shape[-1]: stack for stack in stacks}
        if self._watch(stacks):
            return False
        scales = self._scales.to(device)[:, None, None, None]
        for stack in stacks:
            self._count(self._kernel(stack.mul_(scales)))
        return True

    def estimate(self) -> Estimate:
        """Values, standard errors and floors of all that was counted."""
        sums = self._cross, self._own[:, : self._n_student], self._own[:, self._n_student :]
        totals = [part.sum(0) for part in sums]
        filled = min(self._n_blocks, N_GROUPS)
        left_out = cosines(*(total - part[:filled] for total, part in zip(totals, sums, strict=True)))
        floor = floors(cosines(self._shuffled, *totals[1:]))
        return Estimate(cosines(*totals), jackknife(left_out), *floor, self._estimator)

    def _stack(self, grams: Sequence[Tensor], device: torch.device) -> Tensor:
        """`[layers, blocks, size, size]`; on a CPU where the last batch's were, for fresh memory costs more."""
        if device.type != "cpu":
            return torch.stack([gram.to(device) for gram in grams])
        size, shape = grams[0].shape[-1], (len(grams), *grams[0].shape)
        if size not in self._stacks or self._stacks[size].shape != shape:
            self._stacks[size] = grams[0].new_empty(shape)
        for place, gram in zip(self._stacks[size], grams, strict=True):
            place.copy_(gram.view_as(place))  # which broadcasts nothing: all layers have as many samples
        return self._stacks[size]

    def _in_range(self, layer: int, rows: Tensor) -> Tensor:
        unit = self._units[layer]
        if unit is None:
            return rows.to(self._dtype)
        wide = rows if rows.dtype == torch.float64 else rows.float()
        # any shift will do, for kernels see differences only; a float64 mean takes equal samples to exactly zero
        centred = wide - wide.mean(0, dtype=torch.float64).to(wide.dtype)
        if not unit:
            unit = self._units[layer] = float(centred.double().square().mean().sqrt())
        return centred.div_(unit or 1.0).to(self._dtype)

    def _watch(self, stacks: Sequence[Tensor]) -> bool:
        """Whether layers were found that plain float32 cannot hold; the first batch also fixes the scales."""
        own = torch.cat([x.diagonal(dim1=-2, dim2=-1).mean(-1) for x in stacks], dim=1)  # [layers, blocks]
        mean = torch.cat([x.flatten(2).mean(-1) for x in stacks], dim=1)
        own, mean = torch.stack([own, mean]).cpu()
        is_held = (mean.abs() <= MAX_MEAN_SHARE * own) & (own >= MIN_SQUARED_NORM) & (own < MAX_SQUARED_NORM)
        if not bool(is_held.all()) and self._take_over(~is_held.all(1), mean):
            return True
        if not bool(self._scales.all()):
            fresh = (self._scales == 0) & (own.mean(1) > 0)
            self._scales[fresh] = 1 / own.mean(1)[fresh]
        return False

    def _take_over(self, lost: Tensor, mean: Tensor) -> bool:
        """Whether lost layers `[layers]` will be centred and scaled from now on; else they are finite or refused."""
        unrecoverable = [layer for layer, is_lost in enumerate(lost.tolist()) if is_lost and self._units[layer] is None]
        for layer in unrecoverable:  # blocks counted before stay comparable: the unit takes over from the scale
            scale = float(self._scales[layer])
            self._units[layer], self._scales[layer] = (scale**-0.5, 1.0) if scale > 0 else (0.0, 0.0)
        if unrecoverable:
            return True
        if not bool(mean.isfinite().all()):
            layer = int((~mean.isfinite()).any(1).nonzero()[0])
            raise NotFinite(*((0, layer) if layer < self._n_student else (1, layer - self._n_student)))
        return False

    def _count(self, centred: Tensor) -> None:
        """Add up the products of centred matrices `[layers, blocks, size, size]`."""
        _, count, size, _ = centred.shape
        own = torch.linalg.vector_norm(centred, dim=-1).cpu().double().square().sum(-1)  # float32 adds up a row only
        flat = centred.flatten(2).transpose(0, 1)
        s, t = flat[:, : self._n_student], flat[:, self._n_student :]
        weight = 1 / (size - 3)  # n samples times 1 / (n (n - 3)), the unbiased HSIC's divisor
        groups = torch.arange(self._n_blocks, self._n_blocks + count) % N_GROUPS
        self._cross.index_add_(0, groups, _products(s, t), alpha=weight)
        self._own.index_add_(0, groups, own.T, alpha=weight)
        self._shuffled.add_(self._chance(s, t, size), alpha=weight)
        self._n_blocks += count
        self.n_rows += count * size

    def _chance(self, s: Tensor, t: Tensor, size: int) -> Tensor:
        """What unrelated samples add to each replicate, `[R, S, T]`: permuted blocks' products under random signs."""
        products = []
        is_early = self._n_blocks < EARLY_BLOCKS and size**2 <= MAX_PRODUCT_LENGTH  # for large blocks it costs too much
        for _ in range(EARLY_SHUFFLES if is_early else 1):
            order = torch.randperm(size, generator=self._random)
            entries = (order[:, None] * size + order).flatten().to(s.device)
            products.append(_products(s.gather(2, entries.expand_as(s)), t))
        which = torch.randint(len(products), (N_REPLICATES, 1, len(s)), generator=self._random)
        signs = torch.randint(2, (N_REPLICATES, 1, len(s)), generator=self._random).double() * 2 - 1
        drawn = torch.zeros(N_REPLICATES, len(products), len(s), dtype=torch.float64).scatter_(1, which, signs)
        chance: Tensor = torch.tensordot(drawn, torch.stack(products), dims=2)
        return chance


def _products(s: Tensor, t: Tensor) -> Tensor:
    """All pairs' inner products `[blocks, S, T]` in float64; float32 adds up no more than a block of 64's."""
    if s.shape[-1] <= MAX_PRODUCT_LENGTH:
        return torch.bmm(s, t.mT).cpu().double()
    parts = zip(torch.split(s, MAX_PRODUCT_LENGTH, -1), torch.split(t.mT, MAX_PRODUCT_LENGTH, -2), strict=True)
    return torch.stack([torch.bmm(a, b) for a, b in parts]).cpu().double().sum(0)
