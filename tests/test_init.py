"""The public names: the lazy table, the stub that type checkers read, and that calling code is really checked."""

import ast
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import mapsearch

PACKAGE = Path(mapsearch.__file__).parent
SKIPPED = "torch.*,numpy.*,scipy.*,optuna.*,sqlalchemy.*,alembic.*,matplotlib.*,rich.*"  # slow to read, and not ours
SETTINGS = f"[mypy]\nstrict = true\n[mypy-{SKIPPED}]\nfollow_imports = skip\n"


@pytest.fixture(scope="module")
def mypy_errors(tmp_path_factory, pytestconfig):
    """A function: the source of a user's file -> the lines that mypy refuses there, with the code of the error."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "mypy.ini").write_text(SETTINGS)
    cache = pytestconfig.cache.mkdir("mypy")

    def check(source: str) -> dict[int, str]:
        (folder / "user.py").write_text(source)
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", str(cache), "user.py"],
            cwd=folder, env={"MYPYPATH": str(PACKAGE.parent)}, capture_output=True, text=True, timeout=250,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
        lines = [line.split(":", 2) for line in done.stdout.splitlines() if line.startswith("user.py:")]
        return {int(line): text.rsplit("[", 1)[-1].rstrip("]") for _, line, text in lines}

    return check


def stub() -> dict[str, str]:
    """Public name -> module, as the stub imports it."""
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {str(alias.asname): str(node.module) for node in imports for alias in node.names}


def test_stub_and_table_name_the_same_things():
    assert stub() == {name: f"mapsearch.{module}" for name, module in mapsearch._DEFINED_IN.items()}


def test_every_public_name_is_there():
    assert set(mapsearch.__all__) <= set(dir(mapsearch))
    for name in mapsearch.__all__:
        assert getattr(mapsearch, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = mapsearch.no_such_name


def test_stub_and_marker_ship_with_the_package():
    assert all(files("mapsearch").joinpath(name).is_file() for name in ("__init__.pyi", "py.typed"))


def test_wrong_uses_fail_under_a_strict_type_checker(mypy_errors):
    wrong = [
        'a: int = mapsearch.load_study("a")',
        "mapsearch.load_study(3)",
        'mapsearch.run_study("a.yaml")',
        'b: str = mapsearch.show("a")',
        'mapsearch.export("a", to=1, path="distill.py")',
        'mapsearch.Recipe(mapsearch.LayerMapping((("0", "1", 1.0),)), feature_share="half")',
        "c: int = mapsearch.__version__",
        "mapsearch.no_such_name",
    ]
    assert list(mypy_errors("\n".join(["import mapsearch", *wrong]))) == list(range(2, 2 + len(wrong)))


def test_right_uses_pass_under_a_strict_type_checker(mypy_errors):
    right = """
from pathlib import Path
from typing import Any

import mapsearch


class MyTask(mapsearch.Task):
    def teacher(self) -> Any: ...
    def student(self) -> Any: ...
    def train_data(self) -> Any: ...
    def valid_data(self) -> Any: ...


def main(path: Path) -> str:
    spec: mapsearch.StudySpec = mapsearch.load_study(path)
    try:
        verdict: mapsearch.Verdict = mapsearch.run_study(spec, storage="sqlite:///studies.db")
    except mapsearch.MapsearchError as error:
        return str(error)
    shown: dict[str, Any] = mapsearch.show(spec.name)
    mapsearch.export(spec.name, to="torch", path="distill.py", verify=True)
    similarity: mapsearch.Similarity = mapsearch.compare(None, None, [])
    mapsearch.plot_similarity(similarity, path.with_suffix(".png"))
    recipe = mapsearch.Recipe(mapsearch.LayerMapping((("0", "1", 1.0),)), feature_share=0.5)
    return f"{verdict.sentence} {shown['name']} {recipe.mapping.pairs[0].student}"
"""
    assert mypy_errors(right) == {}
