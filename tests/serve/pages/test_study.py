"""A study's pages: itself, its trials, one of them, its report."""

import re
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from benchmarks.read_models import fill
from mapsearch.exports.targets import TARGETS


def test_the_study_begins_with_its_decision_and_has_every_card(page):
    status, text = page("/studies/tiny")
    assert status == 200
    cards = ["What to do next", "What was asked", "Which layers teach which", "How alike", "What the study took"]
    places = [text.index(card) for card in cards]
    assert places == sorted(places)
    assert "data-live" not in text


def test_its_report_is_a_file_to_keep(service):
    answer = service.ask("GET", "/studies/tiny/report.html", Cookie=service.session(service.read))
    assert answer.headers["content-disposition"] == 'attachment; filename="tiny.html"'
    assert answer.body.startswith(b"<!doctype html>")


@pytest.mark.parametrize("order", ["confirmed", "value", "number"])
def test_trials_are_listed_in_any_order(page, order):
    status, text = page(f"/studies/tiny/trials?order={order}")
    numbers = [int(number) for number in re.findall(r'href="/studies/tiny/trials/(\d+)"', text)]
    assert status == 200
    assert len(set(numbers)) == len(numbers) > 10
    assert (numbers == sorted(numbers)) == (order == "number")


def test_trials_of_a_kind(page):
    text = page("/studies/tiny/trials?kind=none")[1]
    assert len(re.findall(r'href="/studies/tiny/trials/\d+"', text)) == 1
    assert "No trial is of this kind" in page("/studies/tiny/trials?kind=nonsense")[1]


def test_every_trial_has_a_page(page):
    numbers = re.findall(r'href="/studies/tiny/trials/(\d+)"', page("/studies/tiny/trials?order=number")[1])
    for number in numbers[::5]:
        status, text = page(f"/studies/tiny/trials/{number}")
        assert status == 200
        assert f"Trial {number}" in text
        assert "Recipe" in text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/studies/tinny", 404, "<code>tiny</code>"),
        ("/studies/tiny/trials/9999", 404, "no trial 9999"),
        ("/studies/tiny/trials/-1", 422, "number"),
        ("/studies/tiny/trials?order=best", 422, "order"),
        ("/studies/tiny/trials?page=0", 422, "page"),
        ("/nothing", 404, "/nothing"),
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(page, path, status, words):
    answer = page(path)
    assert answer[0] == status
    assert words in answer[1]
    assert "All studies" in answer[1]


@pytest.fixture
def nominee(service):
    return service.call("GET", "/studies/tiny").json["verdict"]["nominee"]


def test_a_trial_says_what_each_target_would_lose(page, nominee):
    text = page(f"/studies/tiny/trials/{nominee}")[1]
    assert text.count('name="to"') + text.count("cannot express it") == len(TARGETS)
    assert "loses nothing" in text


def test_an_export_is_downloaded_as_its_target_reads_it(service, nominee):
    def download(query):
        path = f"/studies/tiny/trials/{nominee}/export?{query}"
        return service.ask("GET", path, Cookie=service.session(service.read))

    module = download("to=torch")
    assert module.headers["content-disposition"] == f'attachment; filename="tiny-{nominee}.py"'
    compile(module.body, "tiny.py", "exec")
    packed = download("to=torchdistill")
    assert sorted(Path(name).suffix for name in ZipFile(BytesIO(packed.body)).namelist()) == [".py", ".yaml"]
    assert download("to=../../etc").status == 422
    assert b"did you mean <code>torch</code>" in download("to=trch").body


def test_a_target_that_cannot_express_a_trial_gives_no_file(service, page):
    trials = service.call("GET", "/studies/tiny").json["trials"]
    none = next(trial["number"] for trial in trials if trial["control"] == "none")  # it has nothing to distil
    assert page(f"/studies/tiny/trials/{none}")[1].count("cannot express it") == len(TARGETS) - 1
    path = f"/studies/tiny/trials/{none}/export?to=torch&lossy=true"
    answer = service.ask("GET", path, Cookie=service.session(service.read))
    assert answer.status == 422
    assert "content-disposition" not in answer.headers


def test_what_changes_of_a_study_under_way_is_asked_for_alone(page):
    status, text = page("/studies/tiny/live")
    assert status == 200
    assert text.lstrip().startswith('<div id="live">')
    assert "What to do next" in text
    assert page("/studies/tinny/live")[0] == 404


def test_the_decision_stands_there_to_be_passed_on(page):
    text = page("/studies/tiny")[1]
    note = text.partition('id="decision-note"')[2].partition("<pre")[2].partition("</pre>")[0]
    assert note.count("\n") >= 4
    assert "tiny: " in note


def test_every_attempt_says_what_it_ran_with(page):
    text = page("/studies/tiny/trials/0")[1]
    assert "workers 1, threads 1" in text
    assert "All in python " in text


def test_a_trial_shows_the_terms_of_its_loss_over_time(page, nominee):
    text = page(f"/studies/tiny/trials/{nominee}")[1]
    part = text.partition("Terms of the loss over time")[2]
    assert 'class="ln l1"' in part
    assert "outputs" in part.partition("</section>")[0]


def test_which_settings_mattered_is_a_page_of_its_own(page):
    status, text = page("/studies/tiny/importances")
    assert status == 200
    assert ('class="bar-a"' in text) != ("Too few trials" in text)
    assert page("/studies/tinny/importances")[0] == 404
    assert 'href="/studies/tiny/importances"' in page("/studies/tiny")[1]


@pytest.fixture(scope="module")
def large(start, tmp_path_factory):
    """`large(path)` -> the page beside a finished study of 10,000 trials."""
    url = f"sqlite:///{tmp_path_factory.mktemp('large') / 'study.db'}"
    fill(url, 10_000, 2)
    service = start("--storage", url)
    cookie = service.session(service.read)
    return lambda path: service.ask("GET", path, Cookie=cookie).body.decode()


@pytest.mark.slow
def test_ten_thousand_trials_are_a_page_at_a_time_in_any_order_and_no_page_is_large(large):
    for order in ("confirmed", "value", "number"):
        text = large(f"/studies/large/trials?order={order}&page=2")
        assert len(re.findall(r'href="/studies/large/trials/\d+"', text)) == 50
        assert "page 2 of 200" in text
        assert len(text) < 100_000
    assert len(large("/studies/large")) < 1_000_000
    assert large("/studies/large/trials?kind=none").count('href="/studies/large/trials/') < 10
