import sys

import pytest

import mapsearch
from mapsearch.core.errors import MapsearchError


def test_an_unknown_tracker_is_refused():
    with pytest.raises(MapsearchError, match="one of tensorboard, wandb, mlflow, but got `tensorbord`"):
        mapsearch.open_logger("tensorbord", "tiny")


def test_one_that_is_not_installed_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not there, whether it is or not
    monkeypatch.delitem(sys.modules, "mapsearch.loggers.wandb", raising=False)
    with pytest.raises(MapsearchError, match=r"`wandb` needs `wandb`, .*mapsearch\[wandb\]"):
        mapsearch.open_logger("wandb", "tiny")
