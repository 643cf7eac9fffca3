"""What seeing every layer's output costs on PyTorch's fused transformer layer: hooks, a wrapped `forward`, nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from torch import nn

from benchmarks.similarity.costs import FORWARD, NULL
from benchmarks.similarity.timing import Spread, interleaved, ratios
from benchmarks.similarity.workloads import Pair, forward_only, pair_of
from mapsearch.features.watch import watch


def capture(n: int, batch: int, repeats: int, shrink: int = 1) -> dict[str, Spread]:
    """Forward passes with every block seen and nothing done with it, over forward passes unseen."""
    pair = pair_of("stock transformer", n, batch, shrink=shrink)
    forward_only(pair)
    cases: dict[str, Callable[[], object]] = {
        FORWARD: partial(forward_only, pair),
        NULL: partial(forward_only, pair),
        "forward hooks": partial(_under, _hooks, pair),
        "mapsearch, `forward` wrapped": partial(_under, _wrapped, pair),
    }
    return ratios(interleaved(cases, repeats), to=FORWARD)


def _under(seeing: Callable[[nn.Module], Iterator[None]], pair: Pair) -> None:
    with contextmanager(seeing)(pair.teacher), contextmanager(seeing)(pair.student):
        forward_only(pair)


def _hooks(network: nn.Module) -> Iterator[None]:
    hooks = [getattr(network, name).register_forward_hook(lambda *seen: None) for name in network.names]
    yield
    for hook in hooks:
        hook.remove()


def _wrapped(network: nn.Module) -> Iterator[None]:
    with watch(network, dict.fromkeys(network.names, lambda feature: None)):
        yield
