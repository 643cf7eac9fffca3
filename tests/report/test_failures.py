from mapsearch.core.failures import FailureGroup, InCommon
from mapsearch.report.failures import failure_sentences


def group(*in_common, n=23, error="loss is nan at step 3"):
    return FailureGroup("diverged", error, n, in_common)


def test_what_failures_have_in_common_is_told_with_how_often_it_fails():
    (line,) = failure_sentences([group(InCommon("seed", ("3", "7"), 23, 60), InCommon("worker", ("a",), 23, 100))])
    shared = "all at seed 3, 7: 23 of the 60 runs there; all at worker a: 23 of the 100 runs there"
    assert line == f"23 diverged: loss is nan at step 3 [{shared}]"
    (line,) = failure_sentences([group(InCommon("lr_factor", ("3",), 20, 40))])
    assert "20 of them at learning rate x3: 20 of the 40 runs there" in line
    assert failure_sentences([group()]) == ["23 diverged: loss is nan at step 3"]


def test_many_kinds_and_many_values_are_cut_short():
    lines = failure_sentences([group(InCommon("trial", tuple(map(str, range(9))), 23, 30)), *[group(n=2)] * 5])
    assert "trial 0, 1, 2, 3, 4, 5, ...:" in lines[0]
    assert lines[-1] == "4 failed for other reasons"
    assert failure_sentences([]) == []
