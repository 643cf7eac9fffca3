"""The Python files of a study's folder, imported under a package of their own.

Two studies in one process may each have a `helpers.py`: what a file imports from its own folder, now or
later inside a function, comes from that folder, under the package's name. That name follows from the folder's
path, so that what one process pickles another one that loaded the same study can read.
"""

import builtins
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

PREFIX = "mapsearch_study_"
NEVER_OF_A_FOLDER = {"mapsearch", *sys.stdlib_module_names}
"""Names that a file of the folder cannot take: they are imported long before."""


def import_file(path: Path) -> ModuleType:
    """The module of that file, read anew along with whatever it imports from its folder.

    Raises:
        Exception: whatever the file's code raises.
    """
    path = path.resolve()
    name = f"{_begin_package(path.parent)}.{path.stem.replace('.', '_')}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_StudyLoader(name, str(path)))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where pickle looks for the file's classes
    _StudyLoader(name, str(path)).exec_module(module)
    return module


def _begin_package(folder: Path) -> str:
    name = PREFIX + hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    for known in [x for x in sys.modules if x == name or x.startswith(f"{name}.")]:
        del sys.modules[known]
    package = ModuleType(name)
    package.__path__ = [str(folder)]
    sys.modules[name] = package
    if not any(isinstance(finder, _StudyFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _StudyFinder())
    importlib.invalidate_caches()
    sys.path[:] = [str(folder), *(entry for entry in sys.path if entry != str(folder))]  # for imports by a string
    return name


class _StudyFinder(MetaPathFinder):
    """Finds modules below the packages of study folders, and has them import their neighbours by plain names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(PREFIX):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _StudyLoader(fullname, spec.loader.path)
        return spec


class _StudyLoader(SourceFileLoader):
    """Executes a module whose import statements look into the study's folder first."""

    def exec_module(self, module: ModuleType) -> None:
        package = sys.modules[module.__name__.partition(".")[0]]
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _Importer(package)}
        super().exec_module(module)


class _Importer:
    """What an import statement calls, for the modules of one study's folder."""

    def __init__(self, package: ModuleType) -> None:
        self._package, self._folder = package.__name__, list(package.__path__)

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or not self._has(top):
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        module = importlib.import_module(f"{self._package}.{name}")
        if not fromlist:  # `import a.b` binds `a`
            return sys.modules[f"{self._package}.{top}"]
        return builtins.__import__(module.__name__, globals, locals, fromlist, 0)

    def _has(self, top: str) -> bool:
        if top in NEVER_OF_A_FOLDER:
            return False
        here, elsewhere = PathFinder.find_spec(top, self._folder), PathFinder.find_spec(top)
        if here is None or here.loader is not None:
            return here is not None
        return elsewhere is None or elsewhere.loader is None  # a mere directory yields to a package
