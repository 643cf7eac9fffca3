"""What stands on a study's page, at every state of the study."""

from dataclasses import replace

from mapsearch.core.facts import StudyFacts
from mapsearch.report.html.study_page import study_page


def test_the_nominees_mapping_is_drawn_where_the_recommended_recipe_has_none(details):
    page = study_page(details())
    assert "Trial 3, the nominee, found by the search" in page.mapping_of
    assert sum(cell.mapped for row in page.heat.rows for cell in row) == 3


def test_before_its_check_a_study_has_nothing_to_draw(details):
    queued = replace(details(0, state="queued", verdict=None, trials=()), facts=StudyFacts(), stages=())
    page = study_page(queued)
    assert (page.forest, page.mapping, page.heat, page.quality, page.history) == (None,) * 5
    assert page.seed_table.rows == ()


def test_every_seed_of_those_that_questions_are_about(details):
    table = study_page(details()).seed_table
    assert table.names == ("nominee", "none", "outputs")
    assert table.rows[0] == (1000, (0.97, 0.85, 0.97))


def test_a_recipe_tells_of_outputs_only_where_it_differs(details):
    rows = {row.name: row for row in study_page(details()).trials}
    assert rows["outputs"].recipe.startswith("outputs kl 1")
    assert rows["outputs"].kind == "recommended"
    assert "share 0.5" in rows["curve"].recipe


def test_what_is_not_known_is_left_out(details):
    known = dict(study_page(details()).trust)
    assert known["Ran with"] == "torch 2.13.0"
    assert known["Runs that failed"] == "1 of 120 runs"
    assert "Seed noise" not in dict(study_page(details(verdict=None)).trust)
