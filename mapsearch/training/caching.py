"""Whether what the teacher gives for a training sample may be kept for the next time it comes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.batches import collated
from mapsearch.tasks.fixed_samples import why_not_fixed
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.nested import tensors_of, to_device
from mapsearch.tasks.precision import forward_in, uses_bfloat16
from mapsearch.tasks.streams import Stream

N_SAMPLES, N_OTHERS = 4, 7
"""Samples that the teacher is shown twice, and how many more come with them the second time, all of them others."""

TOLERANCE, BFLOAT16_TOLERANCE = 1e-3, 3e-2
"""Relative difference that the rounding of a pass in another batch may make, in TF32 too."""


def why_not_cached(loaded: LoadedTask, train: TrainSpec) -> str:
    """Why the teacher must run at every step; empty when a sample is fixed, and all that the teacher makes of it."""
    if loaded.redraws:
        return "each seed draws its own training samples"
    if isinstance(loaded.train, Stream):
        return "training samples come as a stream"
    return why_not_fixed(loaded) or _why_not_its_own(loaded, train)


def _why_not_its_own(loaded: LoadedTask, train: TrainSpec) -> str:
    """Whether the outputs or a layer's features of a sample depend on the samples that it is shown with."""
    n = len(loaded.train)
    if n < 2 * N_SAMPLES:
        return f"with {n} samples it cannot be shown that the teacher looks at each on its own"
    few, others = min(N_SAMPLES, n // 2), range(n - min(N_OTHERS, n // 2), n)
    alone = _Passes(loaded, train, range(few), few)
    in_company = _Passes(loaded, train, [*range(few), *others], few)
    tolerance = BFLOAT16_TOLERANCE if uses_bfloat16(train.precision, loaded.device) else TOLERANCE
    for name, rows in alone.rows.items():
        others_rows = in_company.rows.get(name)
        if rows and others_rows and _differ(rows, others_rows, tolerance):
            what = f"its layer `{name}` gives" if name else "it outputs"
            return f"what {what} for a sample depends on the rest of the batch"
    return ""


class _Passes:
    """The first rows of every tensor that the teacher and its modules output in one pass, by name."""

    @torch.no_grad()
    def __init__(self, loaded: LoadedTask, train: TrainSpec, chosen: Sequence[int], n_rows: int) -> None:
        self.rows: dict[str, list[Tensor]] = {}
        hooks = [
            module.register_forward_hook(self._keeper(name, len(chosen), n_rows))
            for name, module in loaded.teacher.named_modules()
            if not isinstance(module, torch.jit.ScriptModule)
        ]
        batch = to_device(collated(loaded, loaded.train, chosen), loaded.device)
        try:
            output = forward_in(train.precision, loaded)(loaded.teacher, batch)
        finally:
            for hook in hooks:
                hook.remove()
        self._keep("", output, len(chosen), n_rows)

    def _keeper(self, name: str, n: int, n_rows: int) -> Any:
        def keep(module: nn.Module, args: Any, output: Any) -> None:
            self._keep(name, output, n, n_rows)

        return keep

    def _keep(self, name: str, output: Any, n: int, n_rows: int) -> None:
        """Copies, as later layers may overwrite in place; what has no rows of samples cannot be cached either."""
        floats = [x for x in tensors_of(output) if x.is_floating_point() and x.ndim and len(x) == n]
        self.rows[name] = [x[:n_rows].double() for x in floats]


def _differ(some: list[Tensor], others: list[Tensor], tolerance: float) -> bool:
    if [x.shape for x in some] != [x.shape for x in others]:
        return True
    return any(bool((a - b).norm() > tolerance * a.norm()) for a, b in zip(some, others, strict=True))
