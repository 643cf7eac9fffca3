import pytest
from study_fixtures import write

from mapsearch.core.errors import SpecError, StudyChanged
from mapsearch.serve.folders import file_of, require_settings_without_code, study_folders


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    write(root / "tiny")
    (root / "broken").mkdir()
    (root / "broken" / "study.yaml").write_text("name: a\ntrian: {}\n")
    write(tmp_path / "outside", name="outside")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "plain.txt").write_text("")
    return root


def test_a_broken_study_file_is_listed_with_its_problems(root):
    broken, tiny = study_folders(root)
    assert (tiny.folder, tiny.name, tiny.problems) == ("tiny", "tiny", ())
    assert (broken.folder, broken.name) == ("broken", None)
    assert any("trian" in problem for problem in broken.problems)


@pytest.mark.parametrize(
    "folder", ["", ".", "..", "../outside", "link", "tiny/", "./tiny", "/etc", "tiny\0", "plain.txt"]
)
def test_what_is_named_leads_to_a_study_folder_or_nowhere(root, folder):
    with pytest.raises(SpecError, match="no study folder"):
        file_of(root, folder)
    assert file_of(root, "tiny") == root.resolve() / "tiny" / "study.yaml"


def test_without_a_folder_nothing_is_started():
    with pytest.raises(StudyChanged, match="--studies DIR"):
        file_of(None, "tiny")


@pytest.mark.parametrize(
    "settings",
    [
        {"task": "os:system"},
        {"options": {"data": 1}},
        {"options.data_dir": "x"},
        {"space.loss": ["nmse", "evil.py:loss"]},
        {"layers.teacher": ["../x"]},
        {"layers": {"teacher": {"a\\b": 1}}},
    ],
)
def test_settings_bring_no_code(settings):
    with pytest.raises(SpecError, match="setting"):
        require_settings_without_code(settings)


def test_other_settings_are_the_schemas_business():
    require_settings_without_code(
        {"train.lr": 0.1, "space.loss": ["nmse"], "layers.teacher": ["blocks.*", "h#1", "a[b]"]}
    )
