"""Every study file that is shipped loads, and its task stands where it says."""

from pathlib import Path

import pytest

from mapsearch.core.spec import load_study

ROOT = Path(__file__).parents[1]
STUDIES = sorted([*ROOT.glob("studies/**/study.yaml"), *ROOT.glob("mapsearch/templates/**/study.yaml")])


def test_there_are_studies():
    assert len(STUDIES) >= 1


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_shipped_study_loads(path):
    study = load_study(path)
    file, _, name = study.task.partition(":")
    assert f"class {name}(" in (path.parent / file).read_text(encoding="utf-8")


def test_names_are_given_once():
    names = [load_study(path).name for path in STUDIES if path.is_relative_to(ROOT / "studies")]
    assert len(names) == len(set(names))
