"""The questions of a study in their order, each at every look, and which runs the next look needs.

The nominee against `none`, against `outputs`, and, once those are won, its mapping against `uniform`. A win against
`outputs` counts only after one against `none`: features are recommended on both alone, so that each may be asked at the
full 5 % (intersection-union, Berger 1982). Where `none` is not beaten, the nominee is dropped and `outputs` is held
against `none`. Everything follows from the values alone: the same values give the same answers, run for run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mapsearch.core.looks import LOOKS
from mapsearch.core.verdict import Outcome
from mapsearch.verdict.confirmed import Values, paired
from mapsearch.verdict.looks import Look, is_futile, look

Pairing = tuple[str, str]
"""Subject and control of a question."""

NONE, OUTPUTS, UNIFORM = ("nominee", "none"), ("nominee", "outputs"), ("nominee", "uniform")
OUTPUTS_NONE = ("outputs", "none")


@dataclass(frozen=True)
class Answers:
    """Where every question stands, and what is needed to go on.

    `looks` has a question's last look; one that was never asked is not in it. `wanted` says how many of the seeds
    each of the trials needs that the next look waits for; it is empty when no more are worth their cost.
    """

    looks: Mapping[Pairing, Look]
    wanted: Mapping[str, int] = field(default_factory=dict)

    def outcome(self, pairing: Pairing) -> Outcome | None:
        """The outcome of a question, None if it was never asked."""
        return self.looks[pairing].outcome if pairing in self.looks else None

    @property
    def n_seeds(self) -> int:
        """Seeds of the latest look."""
        return max((look.n_seeds for look in self.looks.values()), default=0)


def answer(
    values: Mapping[str, Values], seeds: Sequence[int], margin: float, n_max: int, share: float = 1.0
) -> Answers:
    """Ask the questions, look by look, as far as the values reach.

    Args:
        values: those of `nominee`, `none`, `outputs` and `uniform`; whatever cannot be run is left out, and what has
            not been run yet is empty.
        seeds: the fresh seeds in the order in which they are used.
        margin: differences up to this do not matter.
        n_max: the largest number of seeds.
        share: of the study's error that each question may spend.
    """
    looks: dict[Pairing, Look] = {}
    for n in (n for n in LOOKS if n <= n_max):
        judged: set[Pairing] = set()
        while waiting := [pairing for pairing in _open(values, looks) if pairing not in judged]:
            trials = {trial for pairing in waiting for trial in pairing}
            missing = {trial: n for trial in sorted(trials) if not all(seed in values[trial] for seed in seeds[:n])}
            if missing:
                return Answers(looks, missing)
            for pairing in waiting:
                subject, control = pairing
                looks[pairing] = look(*paired(values[subject], values[control], seeds[:n]), margin, share)
            judged.update(waiting)
        still = _open(values, looks)
        if not still or all(is_futile(looks[pairing], n_max, margin) for pairing in still):
            break
    return Answers(looks)


def _open(values: Mapping[str, Values], looks: Mapping[Pairing, Look]) -> list[Pairing]:
    """The questions that more seeds may answer."""

    def outcome(pairing: Pairing) -> Outcome | None:
        return looks[pairing].outcome if pairing in looks else None

    has = set(values)
    if "nominee" not in has or outcome(NONE) in ("TIES", "WORSE"):
        return [OUTPUTS_NONE] if has >= set(OUTPUTS_NONE) and not _is_decided(outcome(OUTPUTS_NONE)) else []
    beats_none = "none" not in has or outcome(NONE) == "BEATS"
    beats_outputs = "outputs" not in has or outcome(OUTPUTS) == "BEATS"
    found = [NONE] if "none" in has and not _is_decided(outcome(NONE)) else []
    if "outputs" in has and outcome(OUTPUTS) not in ("TIES", "WORSE") and not (beats_none and beats_outputs):
        found.append(OUTPUTS)
    if "uniform" in has and beats_none and beats_outputs and not _is_decided(outcome(UNIFORM)):
        found.append(UNIFORM)
    return found


def _is_decided(outcome: Outcome | None) -> bool:
    return outcome not in (None, "INCONCLUSIVE")
