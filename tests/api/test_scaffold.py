import pytest

from mapsearch.api.scaffold import copy_template
from mapsearch.core.errors import SpecError
from mapsearch.core.study_file import load_study


@pytest.mark.parametrize("template", ["vision", "text"])
def test_a_template_is_a_study(tmp_path, template):
    study, task = copy_template(template, tmp_path / "deep" / "new")
    spec = load_study(study)
    assert spec.name == template
    assert f"class {spec.task.partition(':')[2]}(" in task.read_text()


def test_what_is_there_stays(tmp_path):
    (tmp_path / "task.py").write_text("mine")
    with pytest.raises(SpecError, match=r"task\.py.*already"):
        copy_template("vision", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["task.py"]
    assert (tmp_path / "task.py").read_text() == "mine"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match=r"file/new.*Not a directory"):
        copy_template("vision", tmp_path / "file" / "new")
