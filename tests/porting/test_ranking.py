from dataclasses import replace

import pytest
from search_samples import LOGITS, mapped

from mapsearch.core.port import Carried, Port
from mapsearch.core.trials import Trial
from mapsearch.porting.carry import on_top_of
from mapsearch.porting.ranking import measured, n_proposals, next_carried, recipes_again

CARRIED = tuple(Carried(n, 1.0 - n / 10, replace(mapped(), feature_share=0.1 + n / 20)) for n in range(8))
PORT = Port("old", CARRIED, again=(0, 1, 2, 7), controls={"uniform": 0.5, "last": 0.4, "first": 0.3, "gone": 0.2})


def study(gain):
    """The new study's trials, whose values are a function of the old ones."""
    again = [Trial(10 + row.trial, "ported", on_top_of(LOGITS, row.recipe), state="complete", value=gain(row.gain))
             for row in CARRIED if row.trial in PORT.again]  # fmt: skip
    names = {name: value for name, value in PORT.controls.items() if name != "gone"}
    controls = [Trial(n, "control", mapped("t.1"), control=name, state="complete", value=gain(value))
                for n, (name, value) in enumerate(names.items())]  # fmt: skip
    return [*controls, *again]


def test_what_is_run_again_stands_on_the_new_outputs():
    assert recipes_again(PORT, LOGITS) == [on_top_of(LOGITS, CARRIED[n].recipe) for n in (0, 1, 2, 7)]


@pytest.mark.parametrize(
    ("gain", "sign", "correlation", "holds"),
    [(lambda x: 2 * x, 1.0, 1.0, True), (lambda x: -x, -1.0, 1.0, True), (lambda x: -x, 1.0, -1.0, False)],
)
def test_the_ranking_holds_where_it_is_found_again(gain, sign, correlation, holds):
    port = measured(PORT, LOGITS, study(gain), sign)
    assert (port.n_compared, port.holds) == (7, holds)
    assert port.correlation == pytest.approx(correlation)
    assert Port.from_json(port.to_json()) == port


def test_equal_values_everywhere_hold_nothing():
    port = measured(PORT, LOGITS, study(lambda x: 0.5), 1.0)
    assert (port.correlation, port.p_value, port.holds) == (0.0, 1.0, False)


def test_of_few_recipes_nothing_is_said():
    port = measured(PORT, LOGITS, study(lambda x: x)[:4], 1.0)
    assert (port.n_compared, port.correlation, port.holds, port.is_measured) == (4, None, False, True)
    assert not PORT.is_measured


def test_the_old_studys_draws_become_ever_rarer_and_take_the_best_left():
    port, trials = measured(PORT, LOGITS, study(lambda x: x), 1.0), study(lambda x: x)
    drawn = {}
    for draw in range(4, 40):
        if recipe := next_carried(port, LOGITS, trials, draw):
            drawn[draw] = recipe
            trials.append(Trial(len(trials), "ported", recipe))
    assert list(drawn) == [4, 6, 10, 18], "four are left, at 0, 2, 6, 14 after those run again"
    assert list(drawn.values()) == [on_top_of(LOGITS, CARRIED[n].recipe) for n in (3, 4, 5, 6)]


def test_what_does_not_hold_is_not_drawn():
    port = measured(PORT, LOGITS, study(lambda x: -x), 1.0)
    assert all(next_carried(other, LOGITS, [], 4) is None for other in (port, PORT, None))


def test_a_search_after_a_ranking_that_holds_is_a_third_as_long():
    port = measured(PORT, LOGITS, study(lambda x: x), 1.0)
    assert (n_proposals(40, port), n_proposals(6, port)) == (14, 4)
    assert n_proposals(40, PORT) == n_proposals(40, None) == 40
