import json
from pathlib import Path

import pytest

from mapsearch.core.study_file import load_study


@pytest.mark.parametrize("template", ["vision", "text", "embedding"])
def test_a_template_passes_its_check(do, template):
    code, out, err = do("init", "new", "--template", template)
    assert code == 0
    assert out.split() == ["new/study.yaml", "new/task.py"]
    assert "next: mapsearch run new/study.yaml" in err
    assert do("check", "new/study.yaml")[0] == 0
    assert load_study(Path("new/study.yaml")).name == "new"


def test_init_overwrites_nothing(refused, do):
    do("init", "new")
    (line,) = refused("init", "new")
    assert "new/study.yaml and new/task.py already exist;" in line


@pytest.mark.slow
@pytest.mark.parametrize("template", ["text", "embedding"])  # tests/whole_studies/test_readme.py runs vision
@pytest.mark.timeout(900)
def test_a_template_runs_with_a_small_budget(do, template):
    do("init", "new", "--template", template)
    code, out, _ = do("run", "new/study.yaml", "--set", "budget=10", "--set", "search.trials=4")
    assert code == 0
    assert "margin 0.01" in out.splitlines()[-1]
    assert [study["name"] for study in json.loads(do("studies", "--json")[1])] == ["new"]
    assert do("export", "new", "--to", "torch", "-o", "distill.py", "--verify")[0] == 0
