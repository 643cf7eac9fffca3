"""Who is judged: every nominee of a study spends of one and the same error."""

from collections.abc import Generator
from dataclasses import replace

from mapsearch import search
from mapsearch.controller.context import StudyContext, Update
from mapsearch.core.events import Message
from mapsearch.core.facts import Nomination, StudyFacts
from mapsearch.core.trials import Trial

SHARED = "its intervals are wider, so that false wins stay below 5 % in all"
NO_ERROR_LEFT = (
    "is not judged: earlier nominees have used up the 5 % of false wins that a study may have; give it a new `name`"
)


def admit(context: StudyContext, nominee: Trial | None) -> Generator[Update, None, Trial | None]:
    """The nominee with its share of the study's error written down; None where earlier nominees left it none."""
    if nominee is None:
        return None
    study, facts = context.study, context.study.facts()
    before = facts.nominations
    if not before and facts.verdict is not None and facts.verdict.nominee is not None:
        before = (Nomination(facts.verdict.nominee, 1.0),)  # by an earlier version of mapsearch
    nominations = search.nominate(before, nominee, context.runs)
    if nominations != facts.nominations:
        study.record_facts(replace(facts, nominations=nominations))
    if (share := nominations[-1].share) == 0:
        yield Message("confirm", f"trial {nominee.number} {NO_ERROR_LEFT}")
        return None
    if share < 1:
        yield Message("confirm", f"trial {nominee.number} follows {len(nominations) - 1} other nominees: {SHARED}")
    return nominee


def is_refused(facts: StudyFacts) -> bool:
    """Whether the latest nominee was left no error to be judged at."""
    return bool(facts.nominations) and facts.nominations[-1].share == 0
