"""Whether an old study's ranking holds in the new one, and what it is then good for."""

from collections.abc import Sequence
from dataclasses import replace

from scipy import stats

from mapsearch.core.port import LEAST_COMPARED, Port
from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial
from mapsearch.porting.carry import on_top_of


def recipes_again(port: Port, base: Recipe) -> list[Recipe]:
    """What is run again before anything else is proposed.

    Args:
        base: the new study's best recipe without features.
    """
    return [on_top_of(base, row.recipe) for row in port.carried if row.trial in port.again]


def measured(port: Port, base: Recipe, trials: Sequence[Trial], sign: float) -> Port:
    """The port with the rank correlation between the old study and this one, over all that ran in both.

    Those are what was run again, and the controls. Kendall's tau, as it takes ties and few recipes well.

    Args:
        trials: all of the new study.
        sign: turns the new study's metric so that larger is better.
    """
    gains = {t.recipe: sign * t.value for t in trials if t.proposer == "ported" and t.value is not None}
    controls = {t.control: sign * t.value for t in trials if t.proposer == "control" and t.value is not None}
    pairs = [(row.gain, gains.get(on_top_of(base, row.recipe))) for row in port.carried if row.trial in port.again]
    pairs += [(gain, controls.get(name)) for name, gain in port.controls.items()]
    both = [(before, now) for before, now in pairs if now is not None]
    if len(both) < LEAST_COMPARED:
        return replace(port, n_compared=len(both))
    test = stats.kendalltau(*zip(*both, strict=True), alternative="greater")
    found = (float(test.statistic), float(test.pvalue)) if test.statistic == test.statistic else (0.0, 1.0)
    return replace(port, n_compared=len(both), correlation=found[0], p_value=found[1])


def next_carried(port: Port | None, base: Recipe, trials: Sequence[Trial], draw: int) -> Recipe | None:
    """The best carried recipe that was not run yet, if this draw is one of the old study's.

    Its draws are ever farther apart, so that what is found here counts more and more. None where it does not hold.

    Args:
        draw: the index of the proposal, those run again among them.
    """
    if port is None or not port.holds or not _is_its_draw(draw - len(port.again)):
        return None
    have = {t.recipe for t in trials}
    recipes = (on_top_of(base, row.recipe) for row in port.carried)
    return next((recipe for recipe in recipes if recipe not in have), None)


def _is_its_draw(index: int) -> bool:
    """Whether it is one of 0, 2, 6, 14, 30, ...: each gap is twice the one before."""
    return index >= 0 and (index + 2).bit_count() == 1


def n_proposals(n_trials: int, port: Port | None) -> int:
    """How many recipes are proposed: where the old ranking holds, a third of a search without it suffices."""
    if port is None or not port.holds:
        return n_trials
    return max(len(port.again), -(-n_trials // 3))
