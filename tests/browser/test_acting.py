"""A team lead's whole way through the pages: launch, follow, read, take away, compare, go on, tidy up."""

import pytest
from study_fixtures import write

from mapsearch.store.store import Store

playwright = pytest.importorskip("playwright.sync_api", reason="`playwright` is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="`axe-playwright-python` is not installed")

pytestmark = pytest.mark.timeout(1800)  # several studies start in one test, each a process that imports torch
SERIOUS = ("serious", "critical")
WAIT = 480_000
"""Milliseconds within which a small study ends, whatever else the machine does."""


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('team') / 'study.db'}"


@pytest.fixture(scope="module")
def team(start, storage, tmp_path_factory):
    """A service that may start the study folder `small`, on a database of its own, one study at a time."""
    root = tmp_path_factory.mktemp("studies")
    write(root / "small", name="small")
    return start("--storage", storage, "--studies", root)


def launch(page, name, *settings):
    page.click("nav >> text=Launch")
    page.fill("#name", name)
    for i, (key, value) in enumerate(settings):
        page.fill(f"[name=key-{i}]", key)
        page.fill(f"[name=value-{i}]", value)
    page.click("button.primary")
    page.wait_for_url(f"**/studies/{name}")


def _has_seen(study, n_seeds):
    return study.state == "complete" and study.facts.extended_to == n_seeds


def wait_for_state(page, *states):
    """Until the page that stands open says so by itself."""
    says_so = "states => states.some(s => document.querySelector(`#live .chip.${s}`))"
    try:
        page.wait_for_function(says_so, arg=list(states), timeout=WAIT)
    except playwright.TimeoutError as late:
        raise AssertionError(f"no {states} on this page:\n{page.inner_text('main')}") from late


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_everyone_can_read_the_launch_page_and_what_is_wrong_on_it(visit, team, width, theme):
    window = visit(at=team, width=width, theme=theme)
    page = window.open("/launch")
    page.fill("[name=key-0]", "search.trails")
    page.click("button:has-text('Forecast')")
    page.wait_for_selector("#p-0:has-text('did you mean')", timeout=WAIT)
    assert not window.spills
    found = axe.Axe().run(page).response["violations"]
    assert not [(x["id"], x["nodes"][0]["html"][:200]) for x in found if x["impact"] in SERIOUS]


def test_the_forecast_follows_what_is_filled_in_and_says_beside_the_field_what_is_wrong(visit, team):
    page = visit(at=team).open("/launch")
    before = page.inner_text("#forecast dl")
    page.fill("[name=key-0]", "search.trails")
    page.fill("[name=value-0]", "12")
    page.press("[name=value-0]", "Tab")
    page.wait_for_selector("#p-0:has-text('did you mean trials')", timeout=WAIT)
    assert page.get_attribute("[name=key-0]", "aria-invalid") == "true"
    page.fill("[name=key-0]", "search.trials")
    page.press("[name=key-0]", "Tab")
    page.wait_for_selector("#forecast dl", timeout=WAIT)
    assert page.inner_text("#forecast dl") != before
    assert page.inner_text("#p-0") == ""


def test_a_study_is_launched_and_watched_to_its_end_then_taken_away(visit, team, tmp_path):
    page = visit(at=team).open("/")
    launch(page, "small")
    page.evaluate("window.stillThere = true")
    wait_for_state(page, "running")
    assert "No decision yet" in page.inner_text("#decision")
    assert page.evaluate("window.stillThere")  # nothing was loaded anew
    wait_for_state(page, "complete")
    page.wait_for_selector("#questions", timeout=WAIT)
    assert page.inner_text("#decision-note pre").startswith("small: ")
    page.click("#trials tbody a >> nth=0")
    with page.expect_download() as download:
        page.click("button[aria-label='Download for mapsearch']")
    file = tmp_path / "recipe.yaml"
    download.value.save_as(file)
    assert "task: task.py:Clusters" in file.read_text()


def test_a_study_is_stopped_goes_on_gets_a_note_and_another_name_and_is_deleted(visit, team):
    page = visit(at=team).open("/")
    launch(page, "long", ("search.trials", "200"))
    wait_for_state(page, "running")
    page.wait_for_function("() => !/^0 of/.test(document.querySelector('#runs')?.innerText ?? '0 of')", timeout=WAIT)
    page.click("button:has-text('Stop')")
    page.wait_for_selector("[role=alert]:has-text('asked to stop'), #live .chip.stopped", timeout=WAIT)
    wait_for_state(page, "stopped")
    page.click("button:has-text('Resume')")
    wait_for_state(page, "running")
    page.click("button:has-text('Stop')")
    wait_for_state(page, "stopped")
    page.fill("#note-text", "too long\nfor today")
    page.click("button:has-text('Save the note')")
    assert page.input_value("#note-text") == "too long\nfor today"
    page.click("summary:has-text('Rename')")
    page.fill("#new-name", "longer")
    page.click("button:has-text('Rename')")
    page.wait_for_url("**/studies/longer")
    page.click("summary:has-text('Delete')")
    page.fill("#confirm", "long")
    page.click("button:has-text('Delete for good')")
    assert page.query_selector("#confirm:invalid")
    page.fill("#confirm", "longer")
    page.click("button:has-text('Delete for good')")
    page.wait_for_selector("h1:has-text('Studies')")
    assert "longer" not in page.inner_text("main")


def test_a_finished_study_gets_more_seeds_and_is_compared(visit, team, storage, eventually):
    page = visit(at=team).open("/studies/small")
    page.wait_for_selector("#questions", timeout=WAIT)
    page.click("summary:has-text('More seeds')")
    page.fill("#seeds", "8")
    page.click("button:has-text('Confirm on more seeds')")
    with Store.open_to_read(storage) as store:
        eventually(lambda: _has_seen(store.study("small"), 8), seconds=WAIT / 1000)
    wait_for_state(page, "complete")
    page.wait_for_selector("#questions", timeout=WAIT)
    page.click(".headline a:has-text('Compare')")
    page.select_option("select[name=other]", "small")
    page.click("button:has-text('Compare')")
    assert "same decision" in page.inner_text("main")
