"""`rename`, `note` and `delete` as they are typed."""

import io
import sys

from mapsearch.api import launching


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
