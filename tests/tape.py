"""A stand-in for CUDA graphs on the CPU: the operations that were called, called again on the same memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from mapsearch.training.recorder import Sight


class Operations(TorchDispatchMode):
    """Writes down every operation with its arguments and what came out."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, result))
        return result

    @torch.no_grad()
    def again(self) -> dict[int, Any]:
        """Call them once more, no Python in between; what came out now, by the id of what came out then."""
        made: dict[int, Any] = {}

        def now(value: Any) -> Any:
            return made.get(id(value), value) if isinstance(value, Tensor) else value

        for func, args, kwargs, result in self.calls:
            fresh = func(*tree_map(now, args), **tree_map(now, kwargs))
            for old, new in zip(tree_flatten(result)[0], tree_flatten(fresh)[0], strict=True):
                if isinstance(old, Tensor):
                    made[id(old)] = new
        return made


class Waits(TorchDispatchMode):
    """Notices operations for whose result the host would wait: a number, or how many entries of a mask are true."""

    def __init__(self, sight: Sight) -> None:
        super().__init__()
        self.sight = sight

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        masks = [x for x in tree_flatten(args[1:])[0] if isinstance(x, Tensor) and x.dtype == torch.bool]
        of_masks = func in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default) and bool(masks)
        numbers = (torch.ops.aten.nonzero.default, torch.ops.aten._local_scalar_dense.default)
        self.sight.waited |= of_masks or func in numbers
        return func(*args, **(kwargs or {}))


class Tape:
    """Records as `CudaGraphs` does. `fails` at the recording of that number, counted from 0."""

    def __init__(self, step_bytes: int = 0, fails: int | None = None) -> None:
        self.fails, self.n_recorded, self.n_replayed = fails, 0, 0
        self.recovered = self.closed = False

    @contextmanager
    def lane(self, number: int) -> Iterator[None]:
        yield

    def join(self) -> None:
        pass

    def use_one_lane(self) -> None:
        pass

    @contextmanager
    def watched(self) -> Iterator[Sight]:
        sight = Sight()
        with Waits(sight):
            yield sight

    def record(self, number: int, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        if self.n_recorded == self.fails:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.n_recorded += 1
        operations, first = Operations(), []

        def replay() -> Tensor:
            self.n_replayed += 1
            if not first:
                with operations:
                    first.append(run())
                return first[0]
            result = operations.again()[id(first[0])]
            assert isinstance(result, Tensor)
            return result

        return replay

    def recover(self) -> None:
        self.recovered = True

    def close(self) -> None:
        self.closed = True
