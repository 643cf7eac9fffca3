"""Final students, asked for and fetched from the pages."""

import re

import pytest


@pytest.fixture(scope="module")
def training(start, finished, tmp_path_factory):
    """(service, `page(path)` for who may act) of a service that may train students of `tiny`."""
    data = tmp_path_factory.mktemp("data")
    service = start("--storage", finished[1], "--studies", finished[0].parent.parent, "--data", data)
    cookie = service.session(service.act)
    return service, lambda path: service.ask("GET", path, Cookie=cookie).body.decode()


def test_before_there_is_one_the_page_says_how_to_have_one(page):
    assert "mapsearch train tiny -o student" in page("/trainings?study=tiny")[1]


def test_who_only_reads_trains_nothing(training, page):
    service, _ = training
    assert "/train" not in re.findall(r'action="([^"]*)"', page("/studies/tiny/trials/0")[1])
    refused = service.post("/studies/tiny/trials/0/train", {}, Cookie=service.session(service.read))
    assert refused.status == 403
    assert service.call("GET", "/trainings").json == []


@pytest.mark.slow
def test_a_student_is_trained_shown_and_removed(training, eventually):
    service, page = training
    number = service.call("GET", "/studies/tiny").json["verdict"]["nominee"]
    here = f"/studies/tiny/trials/{number}"
    assert f'action="{here}/train"' in page(here)
    assert service.post(f"{here}/train", {}).headers["location"] == "/trainings?study=tiny"
    assert f"tiny, trial {number}" in page("/trainings?study=tiny")
    assert service.post("/studies/tiny/trials/9999/train", {}).status == 422
    eventually(lambda: service.call("GET", "/trainings").json[0]["state"] not in ("queued", "running"), seconds=240)
    text = page("/trainings")
    file = re.search(r'href="(/api/v1/trainings/[^"]+/files/metrics[.]json)" download', text)[1]
    assert b"accuracy" in service.ask("GET", file, Cookie=service.session(service.read)).body
    assert '<td>accuracy</td><td class="n">0.' in text
    asked = service.call("GET", "/trainings").json[0]["id"]
    assert service.post(f"/trainings/{asked}/resume", {}).status == 409
    assert service.post(f"/trainings/{asked}/remove", {}).headers["location"] == "/trainings"
    assert service.call("GET", "/trainings").json == []
