from dataclasses import replace

import pytest
from small_tasks import Clusters, Pictures, load, make_plans, make_space

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill

TRAIN = TrainSpec(steps=12, batch_size=16)
MAPPED = Recipe(
    LayerMapping((Pair("blocks.0", "blocks.1", 1.0), Pair("blocks.1", "blocks.2", 1.0))),
    feature_share=0.8, output_weight=10.0, temperature=4.0, share_of="gradient",
)  # fmt: skip


def results(task, *recipes, n_parts=1):
    loaded = load(task)
    plans = [replace(plan, n_parts=n_parts) for plan in make_plans(*recipes, n_steps=6)]
    found = [e for e in distill(loaded, make_space(loaded), TRAIN, plans) if isinstance(e, RunResult)]
    return [run for _, run in sorted((run.key, run) for run in found)]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.99])
@pytest.mark.parametrize("loss", ["nmse", "cosine", "gram"])
def test_a_share_is_what_the_features_do_to_the_student(share, loss):
    """One pair, so that its own part of the summed norms is the features'; two batches are not four, hence `abs`."""
    one = replace(MAPPED, mapping=LayerMapping(MAPPED.mapping.pairs[:1]), feature_share=share, loss=loss)
    (run,) = results(Clusters(), replace(one, task_weight=0.0))
    assert run.state == "complete"
    assert run.gradient_shares == (pytest.approx(share, abs=0.2 if loss == "gram" else 0.12),)


def test_a_share_of_the_loss_may_be_next_to_nothing_of_the_gradient():
    of_loss, of_gradient = results(Clusters(), replace(MAPPED, share_of="loss"), MAPPED)
    assert sum(of_loss.gradient_shares) < 0.5 * sum(of_gradient.gradient_shares)
    ratio = {a / b for a, b in zip(of_gradient.scales, of_loss.scales, strict=True)}
    assert max(ratio) == pytest.approx(min(ratio)), "all pairs by one factor: their weights stay as they were"


def test_it_changes_nothing_where_features_alone_teach():
    alone = replace(MAPPED, feature_share=1.0)
    one, other = results(Clusters(), alone, replace(alone, share_of="loss"))
    assert one.scales == other.scales
    assert one.curve == other.curve


def test_a_student_in_a_cohort_comes_out_as_alone():
    both = results(Pictures(), MAPPED, replace(MAPPED, feature_share=0.3))
    (alone,) = results(Pictures(), MAPPED)
    assert both[0].scales == alone.scales
    assert both[0].curve == alone.curve
    assert both[0].metrics == alone.metrics


@pytest.mark.parametrize("balance", ["gate", "uncertainty"])
def test_it_goes_with_every_balance(balance):
    (run,) = results(Clusters(dropout=0.1), replace(MAPPED, balance=balance))
    assert run.state == "complete"
