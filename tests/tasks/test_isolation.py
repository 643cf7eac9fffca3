import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from mapsearch.tasks.isolation import import_file

TASK = """
import random
import helpers
import nets.small as small
from nets import deep
from helpers import NAME

class Thing:
    def name(self):
        return helpers.NAME, NAME, small.NAME, deep.NAME

    def later(self):
        import lazy
        from lazy import NAME as again
        return lazy.NAME, again

    def helper(self):
        return helpers.Helper()
"""


def write(folder: Path, name: str) -> Path:
    (folder / "nets").mkdir(parents=True)  # without __init__.py
    (folder / "task.py").write_text(TASK)
    (folder / "helpers.py").write_text(f"NAME = {name!r}\nclass Helper:\n    name = NAME\n")
    (folder / "lazy.py").write_text("from helpers import NAME\n")
    (folder / "nets" / "deep.py").write_text("from helpers import NAME\n")
    (folder / "nets" / "small.py").write_text("from nets.deep import NAME\n")
    return folder / "task.py"


@pytest.fixture
def two(tmp_path):
    """The task files of two folders whose helpers differ, imported one after the other."""
    files = [write(tmp_path / name, name) for name in ("one", "two")]
    before, path = set(sys.modules), list(sys.path)
    yield [(name, file, import_file(file).Thing()) for name, file in zip(("one", "two"), files, strict=True)]
    sys.path[:] = path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_each_folder_has_its_own_helpers_also_those_imported_later(two):
    for name, _, thing in two:
        assert thing.name() == (name,) * 4
        assert thing.later() == (name,) * 2
    assert not {"helpers", "lazy", "nets", "task"} & set(sys.modules)


def test_what_one_process_pickles_another_reads(two):
    code = (
        "import pickle, sys; from pathlib import Path; from mapsearch.tasks.isolation import import_file;"
        "import_file(Path(sys.argv[1])); print(pickle.load(sys.stdin.buffer).name)"
    )
    for name, file, thing in two:
        helper = pickle.dumps(thing.helper())
        assert type(pickle.loads(helper)) is type(thing.helper())
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", code, str(file)]
        out = subprocess.run(command, input=helper, stdout=subprocess.PIPE, env=environment, check=True).stdout
        assert out.decode().strip() == name


def test_a_changed_folder_is_read_anew(two):
    _, file, _ = two[0]
    (file.parent / "helpers.py").write_text("NAME = 'changed'\n")
    assert import_file(file).Thing().name() == ("changed",) * 4


def test_the_standard_library_and_installed_packages_stay_what_they_are(tmp_path):
    (tmp_path / "random.py").write_text("raise RuntimeError('not this one')")
    (tmp_path / "yaml").mkdir()  # a folder of YAML files, say
    (tmp_path / "my.task.py").write_text("import random, yaml\nDUMP, DRAW = yaml.safe_dump, random.random")
    module = import_file(tmp_path / "my.task.py")
    sys.path.remove(str(tmp_path))
    assert module.DUMP({}) == "{}\n"
    assert 0 <= module.DRAW() < 1


def test_an_import_that_fails_says_what_is_missing(tmp_path):
    (tmp_path / "task.py").write_text("import helpers\n")
    (tmp_path / "helpers.py").write_text("import no_such_module\n")
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_module'"):
        import_file(tmp_path / "task.py")
    sys.path.remove(str(tmp_path))
