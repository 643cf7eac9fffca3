"""One guarantee for all nominees of a study: what earlier ones have spent of its error, later ones do without."""

from collections.abc import Sequence
from dataclasses import replace

from mapsearch.core.facts import Nomination
from mapsearch.core.looks import ERROR_SHARES, LOOKS, error_spent
from mapsearch.core.runs import Run
from mapsearch.core.trials import Trial


def nominate(nominations: Sequence[Nomination], nominee: Trial, runs: Sequence[Run]) -> tuple[Nomination, ...]:
    """The nominations with this nominee's last, which may spend what the earlier ones left; 0 where that is too little.

    All are judged on the same fresh seeds, chosen by validation data alone: that one of them wins falsely is no more
    likely than the sum of what each may spend (Bonferroni), whenever the user searches on and whatever was seen before.
    """
    if nominations and nominations[-1].trial == nominee.number:
        return tuple(nominations)
    closed = tuple(row if row.n_seeds else replace(row, n_seeds=_n_looked_at(row, runs)) for row in nominations)
    left = 1.0 - sum(row.share * error_spent(row.n_seeds) for row in closed)
    share = next((share for share in ERROR_SHARES if share <= left), 0.0)
    return (*closed, Nomination(nominee.number, share))


def _n_looked_at(nomination: Nomination, runs: Sequence[Run]) -> int:
    """The seeds of the last look that may have been taken at it."""
    n = sum(run.stage == "confirm" and run.trial == nomination.trial for run in runs)
    return max((look for look in LOOKS if look <= n), default=0)
