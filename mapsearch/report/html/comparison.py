"""Two studies side by side: what is equal, what differs, and whether their quality may be compared at all."""

from dataclasses import dataclass
from typing import Any

from mapsearch.core.details import StudyDetails
from mapsearch.report.html.numbers import duration
from mapsearch.report.html.study_page import StudyPage, study_page

DEFINING = ("task", "options", "metric", "direction")
"""Where one of these differs, values of the two studies are not on one scale."""

UNSHOWN = ("name", "execution")


@dataclass(frozen=True)
class ComparedRow:
    """One thing of both studies, in words."""

    name: str
    one: str
    other: str

    @property
    def same(self) -> bool:
        """Whether both are equal."""
        return self.one == self.other


@dataclass(frozen=True)
class StudyComparison:
    """Both pages, the sentence that comes first, and the rows: results, then the settings that differ."""

    pages: tuple[StudyPage, StudyPage]
    sentence: str
    results: tuple[ComparedRow, ...]
    settings: tuple[ComparedRow, ...]
    n_equal: int

    @property
    def names(self) -> tuple[str, str]:
        """The names of the two studies."""
        return self.pages[0].study.name, self.pages[1].study.name

    def to_json(self) -> dict[str, Any]:
        """Plain data: by name of the result or setting, what each of the two has."""
        tables = {"results": self.results, "settings": self.settings}
        return {
            "studies": list(self.names),
            "sentence": self.sentence,
            **{title: {row.name: [row.one, row.other] for row in rows} for title, rows in tables.items()},
            "n_equal_settings": self.n_equal,
        }


def compare_studies(one: StudyDetails, other: StudyDetails) -> StudyComparison:
    """The comparison of two studies."""
    pages = study_page(one), study_page(other)
    flat = _flat(one.spec), _flat(other.spec)
    names = list(dict.fromkeys([*flat[0], *flat[1]]))
    rows = [ComparedRow(name, *(str(settings.get(name, "unset")) for settings in flat)) for name in names]
    different = tuple(row for row in rows if not row.same)
    return StudyComparison(pages, _sentence(one, other, pages), _results(pages), different, len(rows) - len(different))


def _sentence(one: StudyDetails, other: StudyDetails, pages: tuple[StudyPage, StudyPage]) -> str:
    apart = [key for key in DEFINING if one.spec.get(key) != other.spec.get(key)]
    if apart:
        return f"Their quality is not compared: they differ in {', '.join(f'`{key}`' for key in apart)}."
    decisions = [page.study.verdict.decision if page.study.verdict else None for page in pages]
    if None in decisions:
        return "At least one of them has no decision yet."
    return "Both come to the same decision." if decisions[0] == decisions[1] else "They come to different decisions."


def _results(pages: tuple[StudyPage, StudyPage]) -> tuple[ComparedRow, ...]:
    told = [_told(page) for page in pages]
    return tuple(ComparedRow(name, told[0][name], told[1][name]) for name in told[0])


def _told(page: StudyPage) -> dict[str, str]:
    study, verdict = page.study, page.study.verdict
    questions = {q.control: q for q in verdict.questions if q.subject == "nominee"} if verdict else {}
    gains = {}
    for control in ("none", "outputs", "uniform"):
        question = questions.get(control)
        asked = question is not None and question.difference is not None
        gains[f"against {control}"] = (
            f"{question.outcome} {page.unit.gain_with_unit(question.difference)}"
            if asked and question is not None and question.difference is not None
            else "not asked"
        )
    return {
        "state": study.state,
        "decision": page.decision.headline,
        **gains,
        "margin": page.unit.size(verdict.margin) if verdict and verdict.margin else "none",
        "device time": duration(study.cost.device_seconds),
        "full runs": f"{study.cost.n_steps / study.n_steps:.1f}",
        "trials": f"{study.n_trials:,}",
    }


def _flat(settings: dict[str, Any], path: str = "") -> dict[str, Any]:
    """The settings with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if not path and key in UNSHOWN:
            continue
        flat |= _flat(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return flat
