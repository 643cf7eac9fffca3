"""`rename`, `note` and `delete` as they are typed."""

import io
import sys

from mapsearch.api import launching
from mapsearch.core.folders import cache_folder


def test_a_study_is_renamed_noted_and_deleted(do, refused, write_study, url, monkeypatch):
    launching.create(write_study(), (), url)
    at = ("--storage", url)
    assert do("rename", "tiny", "small", *at)[:1] == (0,)
    assert do("note", "small", "ships without", *at)[:2] == (0, "ships without\n")
    assert do("note", "small", *at)[:2] == (0, "ships without\n")
    assert "did you mean `small`" in refused("delete", "smal", *at)[0]
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert do("delete", "small", *at)[0] == 130
    assert do("delete", "small", "--yes", *at)[:2] == (0, "study small is deleted\n")
    assert do("studies", "--json", *at)[:2] == (0, "[]\n")


def test_files_that_cannot_go_with_their_study_are_named(do, refused, write_study, url):
    launching.create(write_study(), (), url)
    at, kept, in_the_way = ("--storage", url), cache_folder(url, "tiny"), cache_folder(url, "small")
    kept.mkdir(parents=True)
    (kept / "teacher").write_text("weights")
    in_the_way.write_text("no folder")
    assert f"{kept} cannot be copied to {in_the_way}" in refused("copy", "tiny", "small", *at)[0]
    code, out, err = do("rename", "tiny", "small", *at)
    assert (code, out.partition(";")[0]) == (0, "study tiny is now small")
    assert f"{kept} cannot be moved to {in_the_way}" in err
    code, out, err = do("delete", "small", "--yes", *at)
    assert (code, out) == (0, "study small is deleted\n")
    assert f"{in_the_way} cannot be removed" in err
