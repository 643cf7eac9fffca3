"""The worked notebook runs from its first cell to its last, and holds what it shows."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ABSOLUTE_PATH = re.compile(r"(?<![\w:/<.])/\w[\w.-]*/\w")
NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


def test_it_was_saved_with_what_it_shows_and_without_paths():
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    kinds = [kind for cell in cells for output in cell.outputs for kind in output.get("data", ())]
    assert kinds.count("text/html") == 5
    assert kinds.count("image/png") == 3
    shown = [text for cell in cells for output in cell.outputs for text in (output.get("text", ""), *_texts(output))]
    assert not [text for text in (*(cell.source for cell in cells), *shown) if ABSOLUTE_PATH.search(text)]


def test_an_absolute_path_is_told_from_a_ratio_and_a_tag():
    assert ABSOLUTE_PATH.search("saved in /somewhere/else.db")
    assert not ABSOLUTE_PATH.search("a/b </div></td> 1/2 https://example.org/a/b sqlite:///studies.db")


def _texts(output):
    return [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]


@pytest.mark.slow
def test_every_cell_runs(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(NOTEBOOK.parents[1]), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=280, kernel_name="python3").execute()
    outputs = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ())]
    assert "nominee against none" in [data["text/html"] for data in outputs if "text/html" in data][2]
