"""The decision in plain words."""

from dataclasses import replace
from typing import get_args

import pytest

from mapsearch.core.studies import StudyState
from mapsearch.core.verdict import Decision
from mapsearch.report.html.decision import decision_text
from mapsearch.report.html.numbers import unit_of

UNIT = unit_of("accuracy", [0.85, 0.97], 0.01)


def commands(text):
    return [step.command for step in text.steps]


@pytest.mark.parametrize("decision", get_args(Decision))
def test_every_decision_answers_the_three_questions(details, verdict, decision):
    text = decision_text(details(verdict=verdict(decision)), UNIT)
    assert text.headline
    assert [bool(answer.answer and answer.reason) for answer in text.answers] == [True] * 3
    assert all(command.startswith("mapsearch ") for command in commands(text))


@pytest.mark.parametrize("state", get_args(StudyState))
def test_before_a_verdict_nothing_is_answered(details, state):
    text = decision_text(details(verdict=None, state=state), UNIT)
    assert text.headline.startswith("No decision")
    assert text.answers == ()


def test_the_reasons_have_the_numbers_and_the_margin(details):
    none, outputs, margin = decision_text(details(), UNIT).why
    assert "beats training without a teacher (86.50 %): +11.60 points (+5.00 to +18.00)" in none
    assert "ties with the outputs alone (97.50 %)" in outputs
    assert "1.00 points" in margin


def test_the_cost_of_features_is_told_where_they_are_not_recommended(details):
    cost = decision_text(details(), UNIT).answers[2]
    assert cost.answer.startswith("1.00")
    assert "the features would cost 1.50" in cost.reason


def test_an_open_question_is_settled_by_a_command(details, verdict):
    none, outputs, uniform = verdict().questions
    is_open = replace(outputs, outcome="INCONCLUSIVE", seeds_to_settle=14)
    undecided = verdict("undecided", recommended=None, questions=(none, is_open, uniform))
    assert commands(decision_text(details(verdict=undecided), UNIT))[0] == "mapsearch confirm digits --seeds 14"
    hopeless = verdict("undecided", questions=(none, replace(is_open, seeds_to_settle=51), uniform))
    assert not any("confirm" in command for command in commands(decision_text(details(verdict=hopeless), UNIT)))


@pytest.mark.parametrize(("outcome", "words"), [("BEATS", "that the search found"), ("INCONCLUSIVE", "not settled")])
def test_with_features_the_headline_says_which_layers(details, verdict, outcome, words):
    none, outputs, uniform = verdict().questions
    asked = replace(uniform, asked=True, outcome=outcome, difference=0.01, low=0.0, high=0.02, n_seeds=4)
    text = decision_text(details(verdict=verdict("use_features", questions=(none, outputs, asked))), UNIT)
    assert words in text.headline


def test_a_uniform_mapping_that_is_recommended_is_called_plain(details, verdict, study):
    trials = tuple(replace(t, control="uniform") if t.number == 3 else t for t in study().trials)
    text = decision_text(details(trials=trials, verdict=verdict("use_features", recommended=3)), UNIT)
    assert "Plain uniform layers" in text.headline
    assert text.answers[1].answer == "Plain"
