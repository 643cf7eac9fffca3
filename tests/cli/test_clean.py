"""`clean` as it is typed: it says how much, asks, and frees."""

import io
import sys

from mapsearch.api import launching
from mapsearch.core.folders import cache_folder


def test_it_says_how_much_asks_and_frees(do, refused, write_study, url, monkeypatch):
    launching.create(write_study(), (), url)
    folder = cache_folder(url, "tiny")
    folder.mkdir(parents=True)
    (folder / "teacher").write_bytes(bytes(1500))
    at = ("--storage", url)
    used = "tiny: cache 1.5 kB, loss curves 0 B\n"
    assert do("clean", "--dry-run", *at)[:2] == (0, used + "1.5 kB could be freed\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert do("clean", "tiny", *at)[0] == 130
    assert folder.exists()
    assert do("clean", "tiny", "--yes", *at)[:2] == (0, used + "1.5 kB freed\n")
    assert not folder.exists()
    assert do("clean", "--yes", *at)[1].endswith("0 B could be freed\n")
    assert "did you mean `tiny`" in refused("clean", "tinny", *at)[0]
