"""CKA of all samples at once, Procrustes and SVCCA: one streaming pass over the moments of all layer pairs."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mapsearch.core.errors import SpecError, TaskError
from mapsearch.measures.budget import GROUPS_AND_SHUFFLES, MAX_SUMS_BYTES
from mapsearch.measures.estimate import MIN_GROUPS, Estimate, NotFinite, cosines, floors, weighted_jackknife
from mapsearch.measures.kernels import u_centred
from mapsearch.measures.moment_measures import MOMENT_MEASURES

NULL_ROWS, NULL_SHUFFLES = 64, 64
MIN_ROWS = 4
"""Fewer samples carry no unbiased estimate."""


class CovarianceSums:
    """Sums from which `cka`, `procrustes` or `svcca` of `S` x `T` layer pairs come out, exact for all samples counted.

    Nothing grows with the number of samples: one product of the layers side by side makes the
    moments of all pairs, `2 D_s D_t + 2 sum d^2` operations per sample, whatever the batches, down to
    one of one sample. All is float64, about each channel's median in the first batch, which is a
    constant channel's value to the last digit and is moved by no outlier.

    The sums are kept apart for a few groups of samples, so that a jackknife can leave each out.
    What chance would show comes from a few more such products with the teacher's samples
    shuffled within their batch. Debiased CKA needs none: over all shuffles its mean is 0 and its
    variance `2 / (n (n - 3))`, whatever the features, so shuffles of the first 64 samples, scaled, tell.

    Sources: see `mapsearch.measures.moments`, where the values are worked out.
    """

    def __init__(
        self, measure: str, n_student: int, n_teacher: int, *, estimator: str = "debiased", seed: int = 0
    ) -> None:
        variants = MOMENT_MEASURES[measure]
        self.n_rows = 0
        self._estimator = estimator if estimator in variants else "biased"
        self._measure = variants[self._estimator]
        self._n_layers = n_student, n_teacher
        self._has_law = self._estimator == "debiased"
        self._seed, self._random = seed, torch.Generator().manual_seed(seed)
        self._n_batches = 0
        self._widths: tuple[list[int], ...] = [], []
        self._origins: tuple[list[Tensor], ...] = [], []
        self._own: tuple[list[Tensor], ...] = [], []
        self._first: tuple[list[Tensor], ...] = [], []

    def reduce(self, network: int, layer: int, rows: Tensor) -> Tensor:
        """A copy of one layer's rows `[n, D]`, for the network may write over them.

        Args:
            network: 0 for the student, 1 for the teacher.
        """
        return rows.detach().clone()

    def add(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> bool:
        """Count one batch in: each layer's rows `[n, D]` of the same `n` samples. Always True.

        Raises:
            NotFinite: a feature holds inf or NaN.
            TaskError: layers differ in their number of rows, or one in its width from batch to batch.
            SpecError: the layers are too wide, together, for the moments of all pairs.
        """
        n = len(student[0])
        if not n:
            return True
        if not self._n_batches:
            self._open(student, teacher)
        s, t = self._side_by_side(0, student, n), self._side_by_side(1, teacher, n)
        # the first batches are cut, so that few will do for a jackknife; neighbours stay together, being alike at times
        n_pieces = -(-len(self._sizes) // (self._n_batches + 1))
        for s_part, t_part in zip(s.chunk(n_pieces), t.chunk(n_pieces), strict=True):
            self._count(s_part, t_part)
        self._watch_chance(s, t)
        self._n_batches += 1
        self.n_rows += n
        return True

    def estimate(self) -> Estimate:
        """Values, standard errors and floors of all that was counted."""
        words = f"{self._estimator}, all samples at once"
        if not self._n_batches:
            return Estimate(torch.zeros(self._n_layers, dtype=torch.float64), None, 1.0, 1.0, words)
        groups = [group for group, size in enumerate(self._sizes) if size]
        if len(groups) < MIN_GROUPS or self.n_rows - max(self._sizes) < MIN_ROWS:
            groups = []
        values = self._of_pairs(self._cross, lambda sums: _whole_and_without(sums, groups))
        errors = weighted_jackknife(values[0], values[1:], [self._sizes[group] for group in groups]) if groups else None
        return Estimate(values[0], errors, *self._floors(), words)

    def _open(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        """Make room for the sums, where float64 is."""
        for network, layers in enumerate((student, teacher)):
            self._widths[network].extend(rows.shape[1] for rows in layers)
        device = teacher[0].device
        self._device = torch.device("cpu") if device.type == "mps" else device  # which knows no float64
        s_size, t_size = (sum(width + 2 for width in widths) for widths in self._widths)
        n_groups, n_shuffles = self._affordable(s_size * t_size)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(*shape, dtype=torch.float64, device=self._device)

        self._sizes = [0] * n_groups  # samples of each
        self._cross, self._shuffled = zeros(n_groups, s_size, t_size), zeros(n_shuffles, s_size, t_size)
        for network, widths in enumerate(self._widths):
            self._own[network].extend(zeros(n_groups, width + 2, width + 2) for width in widths)

    def _affordable(self, pairs: int) -> tuple[int, int]:
        """How many groups and shuffles fit the budget, where sums of all pairs hold `pairs` numbers."""
        own = sum((width + 2) ** 2 for widths in self._widths for width in widths)
        for n_groups, most_shuffles in GROUPS_AND_SHUFFLES:
            n_shuffles = 0 if self._has_law else most_shuffles
            n_bytes = 8 * ((n_groups + n_shuffles) * pairs + n_groups * own)
            if n_bytes <= MAX_SUMS_BYTES:
                return n_groups, n_shuffles
        s, t = (f"{len(widths)} layers of up to {max(widths)} channels" for widths in self._widths)
        raise SpecError(
            f"similarity: the moments of all pairs must fit {MAX_SUMS_BYTES >> 20} MiB, but {s} (student) "
            f"and {t} (teacher) take {n_bytes >> 20} MiB; pool the features (`maps: mean`, `tokens: mean`), name fewer "
            "layers, or use "
            "`measure: cka` with `block: auto`"
        )

    def _side_by_side(self, network: int, layers: Sequence[Tensor], n: int) -> Tensor:
        """`[n, D + 2 L]` float64: each layer's features about their origin, their squared norm, and a one."""
        origins = self._origins[network]
        wide = torch.ones(n, sum(self._widths[network]) + 2 * len(layers), dtype=torch.float64, device=self._device)
        parts = self._parts(network, wide)
        for layer, (rows, part) in enumerate(zip(layers, parts, strict=True)):
            shape, wanted = tuple(rows.shape), (n, self._widths[network][layer])
            if shape != wanted:
                raise TaskError(f"similarity: {_name(network, layer)} must give rows {wanted}, but gave {shape}")
            moved = rows.to(self._device)
            if len(origins) == layer:
                origins.append(moved.sort(0).values[n // 2].double())
            torch.sub(moved, origins[layer], out=part[:, :-2])
            part[:, -2] = torch.linalg.vecdot(part[:, :-2], part[:, :-2])
        finite = torch.stack([part[:, -2].sum() for part in parts]).isfinite().tolist()  # the one wait for the device
        if not all(finite):
            raise NotFinite(network, finite.index(False))
        return wide

    def _parts(self, network: int, wide: Tensor) -> tuple[Tensor, ...]:
        """The columns of each layer."""
        return torch.split(wide, [width + 2 for width in self._widths[network]], dim=-1)

    def _count(self, s: Tensor, t: Tensor) -> None:
        group = self._sizes.index(min(self._sizes))
        self._cross[group].addmm_(s.T, t)
        for network, wide in enumerate((s, t)):
            for sums, part in zip(self._own[network], self._parts(network, wide), strict=True):
                sums[group].addmm_(part.T, part)
        self._sizes[group] += len(s)

    def _watch_chance(self, s: Tensor, t: Tensor) -> None:
        """Keep what the floors are worked out from."""
        if len(s) >= MIN_ROWS:
            for sums in self._shuffled:
                sums.addmm_(s.T, t[torch.randperm(len(t), generator=self._random).to(t.device)])
        n_missing = NULL_ROWS - sum(map(len, self._first[0]))
        if self._has_law and n_missing > 0:
            for first, wide in zip(self._first, (s, t), strict=True):
                first.append(wide[:n_missing].clone())

    def _of_pairs(self, cross: Tensor, variants: Callable[[Tensor], Tensor], *, is_grouped: bool = True) -> Tensor:
        """`[V, S, T]`, the values of each variant of the sums; on the CPU, where small decompositions are fast.

        Args:
            variants: `[G, ...]` sums of the groups -> `[V, ...]`.
            is_grouped: whether `cross` is of groups too, or already of variants.
        """
        s, t = ([self._measure.of_layer(variants(sums.cpu())) for sums in layers] for layers in self._own)
        rows = [self._parts(1, row) for row in torch.split(cross.cpu(), [width + 2 for width in self._widths[0]], -2)]

        def value(pair: Tensor, student: Tensor, teacher: Tensor) -> Tensor:
            return self._measure.of_pair(variants(pair) if is_grouped else pair, student, teacher)

        return torch.stack(
            [
                torch.stack([value(pair, of_s, of_t) for pair, of_t in zip(row, t, strict=True)], -1)
                for row, of_s in zip(rows, s, strict=True)
            ],
            dim=-2,
        )

    def _floors(self) -> tuple[float, float]:
        if self._has_law:
            return self._floors_by_law()
        if not self._shuffled[0, -1, -1]:  # no batch was large enough to be shuffled
            return 1.0, 1.0
        return floors(self._of_pairs(self._shuffled, lambda sums: sums.sum(0, keepdim=True), is_grouped=False))

    def _floors_by_law(self) -> tuple[float, float]:
        s, t = (torch.cat(first) for first in self._first)
        n, m = self.n_rows, len(s)
        if m < MIN_ROWS:
            return 1.0, 1.0
        return floors(self._shuffled_grams(s, t) * (m * (m - 3) / (n * (n - 3))) ** 0.5)

    def _shuffled_grams(self, s: Tensor, t: Tensor) -> Tensor:
        """Debiased CKA of a few samples with the teacher's shuffled, `[shuffles, S, T]`."""
        s_grams, t_grams = (
            torch.stack([u_centred(part[:, :-2] @ part[:, :-2].T) for part in self._parts(network, wide)])
            for network, wide in enumerate((s, t))
        )
        s_flat = s_grams.flatten(1)
        random = torch.Generator().manual_seed(self._seed)  # its own: asking twice gives one answer
        orders = [torch.randperm(len(s), generator=random).to(t.device) for _ in range(NULL_SHUFFLES)]
        cross = torch.stack([s_flat @ t_grams[:, order][:, :, order].flatten(1).T for order in orders])
        return cosines(cross, s_flat.square().sum(1), t_grams.square().sum((1, 2))).cpu()


def _name(network: int, layer: int) -> str:
    return f"{('student', 'teacher')[network]} layer {layer}"


def _whole_and_without(sums: Tensor, groups: Sequence[int]) -> Tensor:
    """`[G, ...]` -> `[1 + len(groups), ...]`: all groups together, then all but each."""
    whole = sums.sum(0, keepdim=True)
    return torch.cat([whole, whole - sums[list(groups)]])
