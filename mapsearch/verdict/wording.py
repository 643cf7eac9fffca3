"""A verdict as sentences."""

from collections.abc import Mapping, Sequence

from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Against, Outcome

PHRASES: dict[Outcome, str] = {
    "BEATS": "BEATS",
    "TIES": "TIES",
    "WORSE": "is WORSE than",
    "INCONCLUSIVE": "is INCONCLUSIVE against",
}


def verdict_sentence(nominee: Trial, against: Sequence[Against]) -> str:
    """How the nominee did against every control, by outcome."""
    clauses = []
    for outcome, phrase in PHRASES.items():
        controls = [f"{row.control} ({row.difference:+.3g})" for row in against if row.outcome == outcome]
        if controls:
            clauses.append(f"{phrase} {', '.join(controls)}")
    subject = f"the hand-made mapping `{nominee.control}`" if nominee.control else "the best searched mapping"
    return f"{subject} (trial {nominee.number}) {'; '.join(clauses)}"


def recommendation(trials: Mapping[int, Trial], recommended: int | None) -> str:
    """Which trial to use, and why."""
    if recommended is None:
        return "nothing to recommend"
    trial = trials[recommended]
    name = f"{trial.control}, " if trial.control else ""
    why = "" if trial.recipe.mapping.pairs else ": no mapping is worth its cost here, use the cheap one"
    return f"recommended: trial {recommended} ({name}{trial.recipe}), the cheapest within the tie band of the best{why}"
