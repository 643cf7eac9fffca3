"""The table of targets and the writing of files."""

import pytest

from mapsearch.core.errors import ExportError
from mapsearch.exports.targets import TARGETS, write


@pytest.fixture
def source(distilled):
    return distilled("tags", pairs=False).source


def test_an_unknown_target_offers_close_ones(source, tmp_path):
    with pytest.raises(
        ExportError, match=r"^unknown target `troch`; did you mean `torch`\?; known: mapsearch, torch, "
    ):
        write("troch", source, tmp_path / "out")


@pytest.mark.parametrize("target", TARGETS)
def test_an_existing_file_is_never_overwritten(target, source, tmp_path):
    path = tmp_path / "out"
    path.write_text("mine")
    with pytest.raises(ExportError, match=r"out exists; choose another -o or delete it$"):
        write(target, source, path, lossy=True)
    assert path.read_text() == "mine"


def test_a_path_that_cannot_be_written_says_why(source, tmp_path):
    with pytest.raises(ExportError, match=r"cannot be written: No such file or directory; choose another -o"):
        write("torch", source, tmp_path / "missing" / "out")


@pytest.mark.parametrize("target", TARGETS)
def test_equal_sources_give_equal_files_with_their_provenance(target, source, tmp_path):
    for name in ("one", "two"):
        write(target, source, tmp_path / name, lossy=True)
    text = (tmp_path / "one").read_text()
    assert text == (tmp_path / "two").read_text()
    assert all(line in text for line in source.provenance)
