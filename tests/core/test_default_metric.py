import typing

import pytest

from mapsearch.core.default_metric import DEFAULT_METRICS, with_default_metric
from mapsearch.core.outputs import OutputKind, Outputs
from mapsearch.core.spec import StudySpec


def spec(**keys):
    return StudySpec(name="s", task="t.py:T", **keys)


@pytest.mark.parametrize("kind", typing.get_args(OutputKind))
def test_metric_and_direction_follow_the_kind_of_the_outputs(kind):
    decided = with_default_metric(spec(), Outputs(kind))
    assert (decided.metric, decided.direction) == DEFAULT_METRICS[kind]
    assert with_default_metric(decided, Outputs("classes")) == decided


def test_a_stated_metric_and_a_stated_direction_stay():
    assert with_default_metric(spec(metric="mine"), Outputs("values")).metric == "mine"
    decided = with_default_metric(spec(direction="maximize"), Outputs("values"))
    assert (decided.metric, decided.direction) == ("rmse", "maximize")


def test_embeddings_of_two_widths_have_no_cosine():
    assert with_default_metric(spec(), Outputs("embedding", same_width=False)).metric == "spearman"
