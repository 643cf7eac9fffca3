"""Debiased linear CKA of all layer pairs in one pass, with its noise floor."""

from collections.abc import Sequence

import torch
from torch import Tensor


class CkaSums:
    """Sums over minibatches from which linear CKA of `S` x `T` layer pairs comes out.

    `CKA(K, L) = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))` with the unbiased HSIC of every batch
    (U-centred Gram matrices) added up before dividing; 1 for features equal up to rotation and
    scale, 0 in expectation for independent ones, also when there are more channels than samples,
    where the biased estimator tends to 1. Values may be slightly negative.

    Not to be confused with the mean of per-batch CKA values, which keeps the bias of the batch size.
    Computed in float64 after centring, so that offsets and large scales cost no digits.

    Sources: Kornblith et al. 2019 (linear CKA); Song et al. 2012, eq. 5 (unbiased HSIC);
    Nguyen, Raghu and Kornblith 2021, eq. 2-3 (minibatch form).
    """

    def __init__(self, n_student: int, n_teacher: int, n_shuffles: int = 32, seed: int = 0) -> None:
        self.n_samples = 0
        self._cross = torch.zeros(n_student, n_teacher, dtype=torch.float64)
        self._shuffled = torch.zeros(n_shuffles, n_student, n_teacher, dtype=torch.float64)
        self._student = torch.zeros(n_student, dtype=torch.float64)
        self._teacher = torch.zeros(n_teacher, dtype=torch.float64)
        self._generator = torch.Generator().manual_seed(seed)

    def add(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        """Count one batch in: each layer's features as rows `[n, D]` of the same `n` samples.

        Fewer than four rows carry no unbiased estimate and are passed over.
        """
        n = len(student[0])
        if n < 4:
            return
        s = torch.stack([_u_centred_gram(rows) for rows in student])  # [S, n, n]
        t = torch.stack([_u_centred_gram(rows) for rows in teacher])  # [T, n, n]
        weight = n / (n * (n - 3))  # a batch counts by its samples
        self._cross += weight * (s.flatten(1) @ t.flatten(1).T).cpu()
        self._student += weight * s.flatten(1).square().sum(1).cpu()
        self._teacher += weight * t.flatten(1).square().sum(1).cpu()
        for shuffled in self._shuffled:
            order = torch.randperm(n, generator=self._generator).to(t.device)
            shuffled += weight * (s.flatten(1) @ t[:, order][:, :, order].flatten(1).T).cpu()
        self.n_samples += n

    def values(self) -> Tensor:
        """CKA of all pairs, `[S, T]` float64; 0 where a layer is constant."""
        return self._divide(self._cross)

    def noise_floor(self) -> float:
        """The 95 % quantile of the absolute value over all pairs with the teacher's rows shuffled."""
        return float(self._divide(self._shuffled).abs().quantile(0.95))

    def spread_floor(self) -> float:
        """The 95 % quantile over shuffles of the widest spread (largest minus smallest) within any student layer."""
        shuffled = self._divide(self._shuffled)  # [shuffles, S, T]
        return float((shuffled.amax(2) - shuffled.amin(2)).amax(1).quantile(0.95))

    def _divide(self, cross: Tensor) -> Tensor:
        norms = (self._student[:, None] * self._teacher[None, :]).sqrt()
        return torch.where(norms > 0, cross / norms.clamp(min=torch.finfo(torch.float64).tiny), 0.0)


def _u_centred_gram(rows: Tensor) -> Tensor:
    """`[n, D]` -> the U-centred Gram matrix `[n, n]`, zero diagonal (Székely and Rizzo 2014, def. 2)."""
    n = len(rows)
    centred = rows.to(torch.float64)
    centred = centred - centred.mean(0)
    gram = (centred @ centred.T).fill_diagonal_(0)
    sums = gram.sum(1) / (n - 2)
    gram = gram - sums[:, None] - sums[None, :] + sums.sum() / (n - 1)
    return gram.fill_diagonal_(0)
