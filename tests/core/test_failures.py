"""Failed runs are told by what they have in common, and by nothing where they have nothing."""

from mapsearch.core.failures import FailedRun, FailureGroup, InCommon, group_failures


def run(seed=0, trial=0, loss="nmse", worker="a", error="loss is nan at step 3", state="diverged"):
    return FailedRun(state, error, {"seed": str(seed), "loss": loss, "trial": str(trial), "worker": worker})


def totals(**ended):
    """Three hundred runs: a hundred trials on three seeds, half of them with each loss, on two workers."""
    usual = {
        "seed": {str(seed): 100 for seed in range(3)},
        "loss": {"nmse": 150, "vid": 150},
        "trial": {str(trial): 3 for trial in range(100)},
        "worker": {"a": 150, "b": 150},
    }
    return usual | ended


def test_failures_of_two_seeds_are_the_datas():
    seeds = {str(seed): 30 for seed in range(10)}
    failed = [run(seed=3 + 4 * (i % 2), trial=i, loss=("nmse", "vid")[i % 2]) for i in range(23)]
    (group,) = group_failures(failed, totals(seed=seeds), 300)
    assert (group.state, group.error, group.n_runs) == ("diverged", "loss is nan at step 3", 23)
    assert group.in_common[0] == InCommon("seed", ("3", "7"), 23, 60)
    assert "trial" not in {row.trait for row in group.in_common}


def test_failures_of_one_loss_are_its_own_though_each_trial_has_but_one_run():
    once = totals(
        seed={"0": 100}, trial={str(i): 1 for i in range(100)}, loss={"nmse": 90, "vid": 10}, worker={"a": 50, "b": 50}
    )
    (group,) = group_failures([run(trial=i, loss="vid") for i in range(8)], once, 100)
    assert group.in_common == (InCommon("loss", ("vid",), 8, 10),)


def test_a_few_that_do_not_fit_do_not_hide_what_the_others_have_in_common():
    failed = [*(run(trial=5, seed=i % 3) for i in range(9)), run(trial=6)]
    (group,) = group_failures(failed, totals(trial={"5": 10, "6": 10, "7": 280}), 300)
    assert group.in_common == (InCommon("trial", ("5",), 9, 10),)


def test_nothing_is_claimed_where_failures_are_spread_or_alone():
    spread = [run(seed=i % 3, trial=i, loss=("nmse", "vid")[i % 2], worker="ab"[i % 2]) for i in range(30)]
    assert [group.in_common for group in group_failures(spread, totals(), 300)] == [()]
    assert [group.in_common for group in group_failures([run()], totals(), 300)] == [()]


def test_errors_that_differ_in_numbers_only_are_one_group_and_the_largest_comes_first():
    failed = [
        run(state="crashed", error="disk full"),
        *(run(trial=i, error=f"loss is nan at step {i}") for i in range(3)),
    ]
    groups = group_failures(failed, totals(), 300)
    assert [(group.state, group.n_runs) for group in groups] == [("diverged", 3), ("crashed", 1)]
    assert groups[0].error == "loss is nan at step 0"
    assert isinstance(groups[0], FailureGroup)
    assert group_failures([], totals(), 300) == ()
