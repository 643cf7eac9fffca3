"""The numbers of depth curves: drawn from their ranges, and one of them a step further."""

import math
from typing import Any, NamedTuple

import numpy as np

from mapsearch.core.space_spec import SpaceSpec
from mapsearch.proposers.depth_curve import DepthCurve

STEEPEST_FALL = 0.25
"""Of a depth curve: reversed mappings are rarely right, so steeper ones are left to the free choices."""

BENDS, SPREADS, SLOPES = (1 / 3, 3.0), (0.15, 1.5), (-1.5, 1.5)
_LOG_BENDS, _LOG_SPREADS = np.log(BENDS), np.log(SPREADS)

P_SECOND, P_ROWS_OFF, P_PRIOR = 0.4, 0.2, 0.5
"""How often a curve has a second one, does without some rows, and follows or avoids what is similar."""

LEAST_SHIFT, MOST_SHIFT = 0.2, 0.8
"""Of a second curve, as fractions of the teacher's depth; the most leaves the first curve some room."""

STEP = 0.15
"""Standard deviation of a number's step, as a fraction of its range."""


class Limits(NamedTuple):
    """The ranges that a study decides: of the similarity prior, and of the teacher layers a row keeps of a curve."""

    prior: tuple[float, float]
    most_kept: int


def limits(choices: SpaceSpec, n_student: int, n_teacher: int) -> Limits:
    """A row may keep half more than its share of the teacher, and at least three teacher layers, unless said."""
    most_kept = choices.max_teachers or max(3, math.ceil(1.5 * n_teacher / n_student))
    return Limits(choices.similarity_weight, min(most_kept, n_teacher))


def drawn_curve(limits: Limits, rng: np.random.Generator) -> DepthCurve:
    """A depth curve drawn evenly from its ranges; bend and spread from their logarithms'.

    How far a second curve is comes first, and leaves the rest of the teacher to the ends of the first: drawn after
    them, it would mostly be near.
    """
    shift = float(rng.uniform(LEAST_SHIFT, MOST_SHIFT)) if rng.random() < P_SECOND else 0.0
    start, end = (1 - shift) * rng.random(2)
    if end < start - STEEPEST_FALL:
        start, end = end, start
    first, last = sorted(rng.random(2)) if rng.random() < P_ROWS_OFF else (0.0, 1.0)
    return DepthCurve(
        start=start,
        end=end,
        bend=math.exp(rng.uniform(*_LOG_BENDS)),
        spread=math.exp(rng.uniform(*_LOG_SPREADS)),
        n_kept=int(rng.integers(1, limits.most_kept + 1)),
        prior=rng.uniform(*limits.prior) if rng.random() < P_PRIOR else 0.0,
        slope=rng.uniform(*SLOPES),
        shift=shift,
        first=first,
        last=last,
    )


def stepped_curve(curve: DepthCurve, limits: Limits, rng: np.random.Generator) -> DepthCurve:
    """The curve with one number a step further; a second curve that would leave the teacher stays on it."""
    names = [name for name in DepthCurve._fields if name != "prior" or limits.prior[0] < limits.prior[1]]
    name, step = names[rng.integers(len(names))], STEP * rng.standard_normal()
    if name == "n_kept":
        n_kept = curve.n_kept + (-1, 1)[rng.integers(2)]
        return curve._replace(n_kept=min(max(n_kept, 1), limits.most_kept))
    if name == "shift" and not curve.shift:
        return curve._replace(shift=_drawn_shift(curve, rng))
    if name in ("bend", "spread"):
        low, high = map(math.log, BENDS if name == "bend" else SPREADS)
        value = math.exp(min(max(math.log(getattr(curve, name)) + step * (high - low), low), high))
    else:
        low, high = {"prior": limits.prior, "slope": SLOPES, "shift": (-1.0, 1.0)}.get(name, (0.0, 1.0))
        value = min(max(getattr(curve, name) + step * (high - low), low), high)
    numbers: dict[str, Any] = {name: float(value)}
    stepped = curve._replace(**numbers)
    below, above = _room(stepped)
    return stepped._replace(shift=min(max(stepped.shift, -below), above))


def _drawn_shift(curve: DepthCurve, rng: np.random.Generator) -> float:
    """To a second curve: far, and within the teacher; 0 where there is no room."""
    below, above = _room(curve)
    sides = [(side, room) for side, room in ((-1, below), (1, above)) if room > LEAST_SHIFT]
    if not sides:
        return 0.0
    side, room = sides[rng.integers(len(sides))]
    return float(side * rng.uniform(LEAST_SHIFT, room))


def _room(curve: DepthCurve) -> tuple[float, float]:
    return min(curve.start, curve.end), 1 - max(curve.start, curve.end)
