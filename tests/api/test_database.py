"""A study database as a whole: what is asked of none makes none."""

import pytest

from mapsearch.api import database
from mapsearch.core.errors import NoDatabase, StoreError


def test_nothing_makes_a_database(url, tmp_path):
    for act in (
        lambda: database.upgrade_database(url),
        lambda: database.check_database(url),
        lambda: database.back_up_database(url, tmp_path / "backup.db"),
        lambda: database.copy_database(url, f"sqlite:///{tmp_path / 'copy.db'}"),
    ):
        with pytest.raises(NoDatabase):
            act()
    assert list(tmp_path.iterdir()) == []


def test_a_url_that_is_none_is_told(tmp_path):
    with pytest.raises(StoreError, match="must be a database URL"):
        database.rescue_database("study.db", tmp_path / "saved.db")
