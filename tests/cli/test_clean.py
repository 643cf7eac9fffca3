"""`clean` as it is typed: it says how much, asks, and frees."""

import io
import sys

from mapsearch.api import launching
from mapsearch.core.folders import cache_folder
from mapsearch.store.store import Store


def test_it_says_how_much_asks_and_frees(do, refused, write_study, url, monkeypatch):
    launching.create(write_study(), (), url)
    folder = cache_folder(url, "tiny")
    folder.mkdir(parents=True)
    (folder / "teacher").write_bytes(bytes(1500))
    at = ("--storage", url)
    used = "tiny: cache 1.5 kB, loss curves 0 B\n"
    assert do("clean", "--dry-run", *at)[:2] == (0, used + "1.5 kB could be freed\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    code, _, err = do("clean", "tiny", *at)
    assert (code, err.endswith("nothing was changed\n")) == (130, True)
    assert folder.exists()
    assert do("clean", "tiny", "--yes", *at)[:2] == (0, used + "1.5 kB freed\n")
    assert not folder.exists()
    assert do("clean", "--yes", *at)[1].endswith("0 B could be freed\n")
    assert "did you mean `tiny`" in refused("clean", "tinny", *at)[0]


def test_what_runs_or_cannot_be_removed_is_told_and_the_rest_is_freed(do, write_study, url):
    for name in ("runs", "stuck", "tiny"):
        launching.create(write_study(name=name), (), url)
        folder = cache_folder(url, name)
        folder.mkdir(parents=True)
        (folder / "teacher").write_bytes(bytes(1500))
    (cache_folder(url, "stuck") / "teacher").rename(folder.parent / "file")
    cache_folder(url, "stuck").rmdir()
    (folder.parent / "file").rename(cache_folder(url, "stuck"))  # a file is not removed as a folder is
    with Store.open(url) as store, store.control("runs"):
        code, out, err = do("clean", "--yes", "--storage", url)
        assert do("clean", "runs", "--yes", "--storage", url)[0] == 2
    assert (code, out.splitlines()[-1]) == (0, "1.5 kB freed")
    assert "runs stays as it is: study `runs` is run by process" in err
    assert f"1.5 kB of stuck stay: {cache_folder(url, 'stuck')} cannot be removed" in err
