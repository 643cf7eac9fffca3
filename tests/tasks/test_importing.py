import shutil

import pytest

from mapsearch.core.errors import TaskError


def test_a_task_is_built_with_its_options_and_finds_the_modules_beside_it(folder, build):
    task = build(width=5)
    assert task.width == 5
    assert task.cache_dir == folder / "cache"
    assert build().width == 3


@pytest.mark.parametrize(
    ("reference", "options", "message"),
    [
        ("tusk.py:Small", {}, r"the task file `.*tusk.py` does not exist; did you mean `task.py`\?"),
        ("task.py:Smal", {}, r"`task: task.py:Smal`: task.py has no class `Smal`; did you mean `Small`\?"),
        ("task.py:Stranger", {}, "`Stranger` must be a subclass of `mapsearch.Task`"),
        ("task.py:Half", {}, r"`Half` must define `student\(\)`, `train_data\(\)`, `valid_data\(\)`"),
        (
            "task.py:Small",
            {"widht": 3},
            r"`options` of `Small`: got an unexpected keyword argument 'widht'; it takes \(",
        ),
        ("task.py:Small", {"fails": "no"}, r"`Small\(...\)` of task.py failed: ValueError: no \(task.py:12\)"),
        ("broken.py:Small", {}, r"importing the task file `.*` failed: ZeroDivisionError: .* \(broken.py:2\)"),
        ("no.such.module:Small", {}, "importing the task module `no.such.module` failed: ModuleNotFoundError"),
    ],
)
def test_a_task_that_cannot_be_loaded_says_why(build, reference, options, message):
    with pytest.raises(TaskError, match=message):
        build(reference, **options)


def test_a_task_may_come_from_a_package(folder, build, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    shutil.copy(folder / "task.py", folder / "of_a_package.py")
    assert build("of_a_package:Small").width == 3
