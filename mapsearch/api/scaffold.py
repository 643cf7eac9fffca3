"""A new study's folder: the commented study.yaml and task.py of a template, ready to run and to be changed."""

import json
import re
from importlib.resources import files
from pathlib import Path

import yaml

from mapsearch.core.errors import SpecError

FILES = ("study.yaml", "task.py")
LONGEST_NAME = 100
COMMENT_COLUMN = 33


def copy_template(template: str, folder: Path) -> list[Path]:
    """Write a template's files into a folder, which is made if need be; the study is named as the folder.

    Args:
        template: `vision`, `text` or `embedding`.

    Raises:
        SpecError: one of the files is already there, or the folder cannot be written.
    """
    targets = [folder / name for name in FILES]
    there = [str(path) for path in targets if path.exists()]
    if there:
        exist = "exists" if len(there) == 1 else "exist"
        raise SpecError(f"{' and '.join(there)} already {exist}; choose another folder or delete the old study")
    source = files("mapsearch.api") / "templates" / template
    texts = {path: (source / path.name).read_text(encoding="utf-8") for path in targets}
    study = targets[0]
    texts[study] = _named(texts[study], study_name(folder, template))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{folder}: cannot be written: {error.strerror}; choose another folder") from None
    return targets


def study_name(folder: Path, otherwise: str) -> str:
    """The folder's own name as a legal name of a study: letters, digits, `.`, `_` and `-`."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name)
    return name.lstrip("._-")[:LONGEST_NAME] or otherwise


def _named(study: str, name: str) -> str:
    """The text of a study file under another name, its comments still in one column."""
    shown = name if yaml.safe_load(name) == name else json.dumps(name)  # `2024` or `on` would be no text in YAML
    return re.sub(r"^name: \S+ *#", lambda _: f"{f'name: {shown} ':<{COMMENT_COLUMN}}#", study, flags=re.MULTILINE)
