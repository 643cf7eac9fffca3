"""The writing of files, and what is refused."""

from dataclasses import replace

import pytest

from mapsearch.core.errors import ExportError
from mapsearch.core.outputs import Outputs
from mapsearch.exports.limits import CHANGES_OUTPUTS, CHANGES_WEIGHTS
from mapsearch.exports.targets import TARGETS
from mapsearch.exports.write import write


@pytest.fixture
def source(llama):
    return llama([])


def test_an_unknown_target_offers_close_ones(source, tmp_path):
    with pytest.raises(ExportError, match=r"unknown target `troch`; did you mean `torch`.*known: mapsearch, torch"):
        write("troch", source, tmp_path / "out")


@pytest.mark.parametrize("target", TARGETS)
def test_an_existing_file_is_never_overwritten(target, source, tmp_path):
    path = tmp_path / f"out{TARGETS[target].suffixes[0]}"
    path.write_text("mine")
    with pytest.raises(ExportError, match=r"out\.\w+ already exists"):
        write(target, source, path, lossy=True)
    assert path.read_text() == "mine"


def test_a_path_that_cannot_be_written_says_why(source, tmp_path):
    with pytest.raises(ExportError, match="cannot be written: No such file"):
        write("torch", source, tmp_path / "missing" / "out.py")


@pytest.mark.parametrize("target", TARGETS)
def test_equal_sources_give_equal_files_with_their_provenance(target, source, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(target, source, tmp_path / folder / f"recipe{TARGETS[target].suffixes[0]}", lossy=True)
    told = TARGETS[target].expressible(source)
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


def test_what_is_fatal_is_refused_even_with_lossy(distilled, monkeypatch, tmp_path):
    narrow = replace(TARGETS["torch"], limits=(CHANGES_WEIGHTS, CHANGES_OUTPUTS))
    monkeypatch.setitem(TARGETS, "torch", narrow)
    source = replace(distilled("tags", balance="gate").source, outputs=Outputs(class_axis=-3))
    fatal = "target `torch` cannot express trial 0: outputs are not matched as the network gives them"
    with pytest.raises(ExportError, match=f"^{fatal}.*\n.*cannot express all of trial 0: `balance: gate` changes"):
        write("torch", source, tmp_path / "out.py")
    with pytest.raises(ExportError, match=f"^{fatal}") as caught:
        write("torch", source, tmp_path / "out.py", lossy=True)
    assert len(caught.value.problems) == 1
    with pytest.raises(ExportError, match="export it to `mapsearch`, or"):
        write("modelopt", source, tmp_path / "out.py", lossy=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", TARGETS)
def test_a_file_of_another_kind_is_refused_by_its_suffix(target, source, tmp_path):
    wrong = "a.yaml" if TARGETS[target].suffixes == (".py",) else "a.py"
    for name in (wrong, "a", "a.txt"):
        with pytest.raises(ExportError, match=rf"-o for target `{target}` must end in \.\w+.* but got {name}"):
            write(target, source, tmp_path / name, lossy=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("target", [name for name in TARGETS if name != "mapsearch"])
def test_a_recipe_that_matches_nothing_is_no_program(target, llama, tmp_path):
    path = tmp_path / f"x{TARGETS[target].suffixes[0]}"
    with pytest.raises(ExportError, match=r"labels alone, .*nothing to distil; export it to `mapsearch`, or"):
        write(target, llama([], output_weight=0.0), path, lossy=True)
    write("mapsearch", llama([], output_weight=0.0), tmp_path / "x.yml")
