"""What a table says: how much mappings differ, what the best is worth, and what foretells it. Pure functions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr, t

from benchmarks.tables.maps import OFF
from benchmarks.tables.table import Floats


class Interval(NamedTuple):
    """A mean over draws with its 95 % interval by Student's t."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.4f} ({self.low:+.4f} .. {self.high:+.4f})"


def interval(values: Floats) -> Interval:
    """Of at least two values."""
    n, mean = len(values), float(values.mean())
    half = float(t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half)


def spreads(full: Floats) -> dict[str, float]:
    """Standard deviations between mappings, between draws, and of what is left, from values `[M, D]`.

    What is left is the interaction of mapping and draw, and whatever a seed does beside the draw. Variances are
    estimated by the mean squares of a two-way layout; a negative one is zero.
    """
    n_maps, n_draws = full.shape
    by_map, by_draw, grand = full.mean(1), full.mean(0), full.mean()
    rest = full - by_map[:, None] - by_draw[None] + grand
    left = (rest**2).sum() / ((n_maps - 1) * (n_draws - 1))
    return {
        "mappings": _root(by_map.var(ddof=1) - left / n_draws),
        "draws": _root(by_draw.var(ddof=1) - left / n_maps),
        "rest": _root(left),
    }


def parts_of_rest(orders: Floats) -> dict[str, float]:
    """The standard deviation of what is left, taken apart: `[M, D, O]`, several orders of each draw.

    `interaction` is that of mapping and draw, `seed` that of a mapping and the order of a draw's samples.
    """
    n_maps, n_draws, n_orders = orders.shape
    columns = orders - orders.mean(0, keepdims=True)  # what a draw and an order do to all mappings alike
    cells = columns.mean(2, keepdims=True)
    seed = ((columns - cells) ** 2).sum() / ((n_maps - 1) * n_draws * (n_orders - 1))
    apart = cells[..., 0] - cells[..., 0].mean(1, keepdims=True)
    between = n_orders * (apart**2).sum() / ((n_maps - 1) * (n_draws - 1))
    return {"interaction": _root((between - seed) / n_orders), "seed": _root(seed)}


def _root(variance: float) -> float:
    return float(np.sqrt(max(0.0, variance)))


def reliability(full: Floats) -> float:
    """The part of the variance of the mappings' means over draws that is the mappings' own; 1 is without noise."""
    found = spreads(full)
    own = found["mappings"] ** 2
    noise = found["rest"] ** 2 / full.shape[1]
    return own / (own + noise) if own + noise > 0 else 0.0


def chosen_minus(full: Floats, reference: Floats, *, worst: bool = False) -> Interval:
    """What the best mapping gains over a reference `[D]`, chosen on all draws but one and measured on that one.

    The same for each draw: what was chosen never sees the samples that it is measured with, so that luck in the
    choice does not count as gain.
    """
    sign = -1.0 if worst else 1.0
    gains = []
    for draw in range(full.shape[1]):
        others = np.delete(full, draw, axis=1).mean(1)
        gains.append(full[int((sign * others).argmax()), draw] - reference[draw])
    return interval(np.array(gains))


def naive_best_minus(full: Floats, reference: Floats) -> float:
    """The same without a split: chosen and measured on the same runs, which flatters."""
    return float(full.mean(1).max() - reference.mean())


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's; zero where one of the two is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(spearmanr(one, other).statistic)


def foretelling(columns: Floats, full: Floats) -> float:
    """How well one run of each mapping ranks the mappings: with the mean full run of all other draws, over draws.

    Args:
        columns: `[M, D]`; the full runs themselves give the most that a run of that noise can reach.
    """
    n_draws = full.shape[1]
    return float(np.mean([rank_correlation(columns[:, d], np.delete(full, d, axis=1).mean(1)) for d in range(n_draws)]))


def scores(maps: Sequence[str], values: Floats) -> Floats:
    """The mean similarity of each mapping's pairs, `[M]`, from `[S, T]`."""
    return np.array([np.mean([values[s, int(t)] for s, t in enumerate(name) if t != OFF]) for name in maps])


def shuffled_limit(maps: Sequence[str], values: Floats, truth: Floats, n: int = 1000) -> float:
    """The rank correlation that 95 % of the same matrices with their entries shuffled stay below, sign aside.

    Mappings share pairs, so that a few numbers rank them all: far from what independent points would show.
    """
    rng = np.random.default_rng(0)
    found = [rank_correlation(scores(maps, rng.permuted(values)), truth) for _ in range(n)]
    return float(np.quantile(np.abs(found), 0.95))


def depth_scores(maps: Sequence[str], wanted: str) -> Floats:
    """How near each mapping is to another one, in layers: what needs no measurement at all."""
    return np.array(
        [-np.mean([abs(int(t) - int(w)) for t, w in zip(name, wanted, strict=True) if t != OFF]) for name in maps]
    )
