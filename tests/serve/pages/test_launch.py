"""A study is started from the page, or the form comes back with what is wrong."""

import html
import re

import pytest
from study_fixtures import write

from mapsearch.api.queries import list_studies, study
from mapsearch.core.errors import NoDatabase


@pytest.fixture(scope="module")
def launching(start, tmp_path_factory):
    """(service, storage) of a service with a folder `one` that may be started, and `broken`, which may not."""
    folder = tmp_path_factory.mktemp("launching")
    root, storage = folder / "studies", f"sqlite:///{folder / 'study.db'}"
    root.mkdir()
    write(root / "one")
    write(root / "broken", budgett=3)
    return start("--storage", storage, "--studies", root), storage


def test_a_finished_study_is_offered_more_seeds_where_the_service_may_start_it(start, finished):
    service = start("--storage", finished[1], "--studies", finished[0].parent.parent)
    text = service.ask("GET", "/studies/tiny", Cookie=service.session(service.act)).body.decode()
    assert 'action="/studies/tiny/confirm"' in text
    again = html.unescape(re.search(r'href="(/launch[?][^"]+)">Run again', text)[1])
    form = service.ask("GET", again, Cookie=service.session(service.act)).body.decode()
    assert 'name="value-0" value="1"' in form  # the seed
    assert 'value="tiny-again"' in form
    assert service.post("/studies/tiny/confirm", {"seeds": "3"}).status == 422
    assert service.post("/studies/tiny/resume", {}).status == 409


def n_studies(storage):
    try:
        return len(list_studies(storage))
    except NoDatabase:
        return 0


def test_the_page_offers_what_may_be_started_and_says_what_is_wrong_with_the_rest(launching):
    service, _ = launching
    text = service.ask("GET", "/launch", Cookie=service.session(service.act)).body.decode()
    assert '<option value="one" selected>one (study tiny)</option>' in text
    assert '<option value="broken"' not in text
    assert "budgett" in text
    assert service.ask("GET", "/launch", Cookie=service.session(service.read)).status == 403


def test_without_folders_the_page_says_how_to_have_some(service):
    text = service.ask("GET", "/launch", Cookie=service.session(service.act)).body.decode()
    assert "mapsearch serve --studies DIR" in text
    assert service.post("/launch", {"folder": "one"}).status == 422


def setting(key, value):
    return {"folder": "one", "key-0": key, "value-0": value}


REFUSED = [
    ({"folder": "../one"}, "no study folder"),
    ({"folder": "broken"}, "budgett"),
    (setting("task", "os:system"), "the task is its folder&#39;s own"),
    (setting(" task ", "os:system"), "the task is its folder&#39;s own"),
    (setting("options.data", "x"), "the task is its folder&#39;s own"),
    (setting("", "3"), "KEY=VALUE"),
]


@pytest.mark.parametrize(("address", "status"), [("/launch", 422), ("/launch/forecast", 200)])
@pytest.mark.parametrize(("fields", "words"), REFUSED)
def test_a_refused_form_comes_back_as_it_was_filled_in_and_nothing_is_stored(launching, address, status, fields, words):
    service, storage = launching
    answer = service.post(address, fields)
    text = answer.body.decode()
    assert (answer.status, words in text, n_studies(storage)) == (status, True, 0)
    assert f'name="value-0" value="{fields.get("value-0", "")}"' in text


def test_what_is_wrong_stands_beside_its_field_with_what_may_be_meant(launching):
    service, _ = launching
    fields = {
        "folder": "one", "name": "a b", "key-0": "train.steps", "value-0": "20", "key-1": "train.lrr", "value-1": "1",
        "key-2": "space.loss", "value-2": "[nmse, cosin]",
    }  # fmt: skip
    text = service.post("/launch/forecast", fields).body.decode()
    beside = dict(re.findall(r'<p class="problem" id="(?:p-)?([a-z0-9-]+)" data-fresh>(.*?)</p>', text))
    assert beside["0"] == ""
    assert "did you mean <code>lr</code>" in beside["1"]
    assert "did you mean <code>cosine</code>" in beside["2"]
    assert "<code>name</code>" in beside["name-p"]
    assert text.count('aria-invalid="true"') == 1 + 2 + 2
    assert "3 things must be mended" in text


def test_the_forecast_stands_there_before_the_start_and_follows_the_settings(launching):
    service, storage = launching

    def runs(**fields):
        text = service.post("/launch/forecast", {"folder": "one", **fields}).body.decode()
        return int(re.search(r"<dd>([\d,]+) runs<small>", text)[1].replace(",", ""))

    page = service.ask("GET", "/launch?folder=one", Cookie=service.session(service.act)).body.decode()
    assert "Gain it can see" in page
    assert "What another budget would see" in page
    assert runs(**{"key-0": "search.trials", "value-0": "14"}) >= runs() + 10
    assert n_studies(storage) == 0


def test_an_earlier_study_of_the_folder_tells_noise_and_pace(start, finished):
    service = start("--storage", finished[1], "--studies", finished[0].parent.parent)
    page = service.ask("GET", f"/launch?folder={finished[0].parent.name}", Cookie=service.session(service.act))
    text = page.body.decode()
    assert "at the pace of tiny" in text
    assert "Noise from tiny" in text
    assert "There is a study <code>tiny</code> already" in text


def test_a_study_is_stored_with_its_settings_and_waits_and_one_of_its_name_is_refused(launching):
    service, storage = launching
    fields = {
        "folder": "one", "name": "one-2", "key-0": "train.lr ", "value-0": " 0.03", "key-3": "search.trials",
        "value-3": "6",
    }  # fmt: skip
    assert service.post("/launch", fields).headers["location"] == "/studies/one-2"
    assert service.post("/studies/one-2/stop", {}).status == 303
    spec = study("one-2", storage).spec
    assert (spec["train"]["lr"], spec["train"]["steps"], spec["search"]["trials"]) == (0.03, 12, 6)
    assert "one-2" in service.post("/launch", fields).body.decode()
    assert n_studies(storage) == 1
