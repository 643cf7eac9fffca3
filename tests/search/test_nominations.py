"""However many nominees a study has, all of them together spend no more than its error."""

from hypothesis import given
from hypothesis import strategies as st
from search_samples import mapped

from mapsearch import search
from mapsearch.core.facts import Nomination
from mapsearch.core.looks import ERROR_SHARES, LOOKS, error_spent
from mapsearch.core.runs import Run
from mapsearch.core.trials import Trial


def nominee(number):
    return Trial(number, "curve", mapped())


def confirmed(number, n):
    return [Run(number, search.FULL, 1000 + i, "confirm", "test", 10, "complete", 1, 0.5, None) for i in range(n)]


def test_the_first_nominee_has_all_and_keeps_it_however_often_it_is_extended():
    first = search.nominate((), nominee(3), [])
    assert first == (Nomination(3, 1.0),)
    assert search.nominate(first, nominee(3), confirmed(3, 50)) == first


def test_a_second_nominee_has_what_the_first_left():
    first, runs = search.nominate((), nominee(3), []), confirmed(3, 6)
    assert search.nominate(first, nominee(9), runs) == (Nomination(3, 1.0, 6), Nomination(9, 0.5))
    assert search.nominate(first, nominee(9), confirmed(3, 14))[-1].share == 0.25
    assert search.nominate(first, nominee(9), confirmed(3, 3))[-1].share == 1.0, "nobody has looked yet"


def test_one_that_comes_back_is_one_more():
    nominations = search.nominate((), nominee(3), [])
    nominations = search.nominate(nominations, nominee(9), confirmed(3, 6))
    nominations = search.nominate(nominations, nominee(3), [*confirmed(3, 6), *confirmed(9, 6)])
    assert [row.trial for row in nominations] == [3, 9, 3]
    assert nominations[-1].share == 0.25


@given(st.lists(st.sampled_from((0, 3, *LOOKS, 120)), min_size=1, max_size=12))
def test_all_together_never_spend_more_than_there_is(seen):
    nominations, runs = (), []
    for number, n in enumerate(seen):
        nominations = search.nominate(nominations, nominee(number), runs)
        runs += confirmed(number, n if nominations[-1].share else 0)
    assert {row.share for row in nominations} <= {*ERROR_SHARES, 0.0}
    assert sum(row.share * error_spent(row.n_seeds) for row in nominations[:-1]) + nominations[-1].share <= 1 + 1e-12
