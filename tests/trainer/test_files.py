"""A file is whole, or as it was."""

import pytest

from mapsearch.trainer.files import write_text


def test_what_fails_in_the_midst_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "first")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "second, half wr\ud800")
    assert path.read_text() == "first"
    write_text(path, "second")
    assert path.read_text() == "second"
    assert list(tmp_path.iterdir()) == [path]
