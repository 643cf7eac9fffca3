"""The writing of files, and what is refused."""

from dataclasses import replace

import pytest

from mapsearch.core.errors import ExportError
from mapsearch.exports.capability import EVERYTHING, restricted_to
from mapsearch.exports.targets import TARGETS
from mapsearch.exports.write import write


@pytest.fixture
def source(distilled):
    return distilled("tags", pairs=False).source


def test_an_unknown_target_offers_close_ones(source, tmp_path):
    with pytest.raises(ExportError, match=r"unknown target `troch`; did you mean `torch`.*known: mapsearch, torch"):
        write("troch", source, tmp_path / "out")


@pytest.mark.parametrize("target", TARGETS)
def test_an_existing_file_is_never_overwritten(target, source, tmp_path):
    path = tmp_path / "out"
    path.write_text("mine")
    with pytest.raises(ExportError, match="out already exists"):
        write(target, source, path, lossy=True)
    assert path.read_text() == "mine"


def test_a_path_that_cannot_be_written_says_why(source, tmp_path):
    with pytest.raises(ExportError, match="cannot be written: No such file"):
        write("torch", source, tmp_path / "missing" / "out")


@pytest.mark.parametrize("target", TARGETS)
def test_equal_sources_give_equal_files_with_their_provenance(target, source, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(target, source, tmp_path / folder / "recipe", lossy=True)
    told = restricted_to(source, TARGETS[target].capability)
    one, two = ({x.name: x.read_text() for x in (tmp_path / folder).iterdir()} for folder in ("one", "two"))
    assert one == two
    assert all(line in " ".join(" ".join(one.values()).split()) for line in told.provenance)


def test_a_companion_that_is_there_is_not_overwritten_either(source, tmp_path):
    plugin = tmp_path / "recipe_plugin.py"
    plugin.write_text("mine")
    with pytest.raises(ExportError, match=r"recipe_plugin\.py already exists"):
        write("torchdistill", source, tmp_path / "recipe.yaml")
    assert plugin.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["recipe_plugin.py"], "nor is half an export left"


def test_a_target_of_one_schema_wants_none(source, tmp_path):
    with pytest.raises(ExportError, match=r"`torch` has only one schema.* --schema new"):
        write("torch", source, tmp_path / "out", schema="new")


def test_what_is_fatal_is_refused_even_with_lossy(distilled, monkeypatch, tmp_path):
    narrow = replace(TARGETS["torch"], capability=replace(EVERYTHING, many_to_one="no", anneal=False))
    monkeypatch.setitem(TARGETS, "torch", narrow)
    study = distilled("tags")
    fatal = "target `torch` cannot express trial 0: layer `layers.0` is in several pairs"
    with pytest.raises(ExportError, match=f"^{fatal}.*\n.*cannot express all of trial 0: the feature loss fades"):
        write("torch", study.source, tmp_path / "out")
    with pytest.raises(ExportError, match=f"^{fatal}") as caught:
        write("torch", study.source, tmp_path / "out", lossy=True)
    assert len(caught.value.problems) == 1
    assert not list(tmp_path.iterdir())
