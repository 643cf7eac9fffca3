"""Calls that must be refused, and change nothing."""

import json

import pytest
from study_fixtures import write

from mapsearch.api import launching
from mapsearch.api.queries import list_studies, show
from mapsearch.core.folders import cache_folder


@pytest.fixture(scope="module")
def acting(start, tmp_path_factory):
    """(service, storage) of a service that may start studies, but has none to start them from but a broken one."""
    folder = tmp_path_factory.mktemp("acting")
    (folder / "studies").mkdir()
    write(folder / "studies" / "tiny", name="tiny2")
    storage = f"sqlite:///{folder / 'study.db'}"
    return start("--storage", storage, "--studies", folder / "studies"), storage


REFUSED = [
    ("POST", "/studies", {"folder": "../tiny"}, 422),
    ("POST", "/studies", {"folder": "/etc"}, 422),
    ("POST", "/studies", {"folder": "tiny", "settings": {"task": "os:system"}}, 422),
    ("POST", "/studies", {"folder": "tiny", "settings": {"name": "../x"}}, 422),
    ("POST", "/studies", {"folder": "tiny", "settings": {"train.lr": "fast"}}, 422),
    ("POST", "/studies", {"folder": "tiny", "settings": {"train.lrr": 1}}, 422),
    ("POST", "/studies", {"folder": "tiny", "settings": {"a=b": 1}}, 422),
    ("POST", "/studies", {"folder": "tiny", "else": 1}, 422),
    ("POST", "/studies", ["tiny"], 422),
    ("POST", "/studies/none/stop", None, 404),
    ("POST", "/studies/none/resume", None, 404),
    ("POST", "/studies/none/confirm", {"seeds": 18}, 404),
    ("POST", "/studies/none/confirm", {"seeds": 10**9}, 422),
    ("PATCH", "/studies/none", {"note": "x"}, 404),
    ("DELETE", "/studies/none?confirm=none", None, 404),
    ("DELETE", "/studies/none", None, 422),
    ("GET", "/studies/none", None, 404),
    ("GET", "/studies/..%2f..%2fetc", None, 404),
    ("GET", "/studies/none/exports/torch%00", None, 422),
    ("PUT", "/studies", None, 405),
]


@pytest.mark.parametrize(("method", "path", "data", "status"), REFUSED)
def test_what_is_wrong_is_refused_in_one_form_and_changes_nothing(acting, method, path, data, status):
    service, storage = acting
    answer = service.call(method, path, data)
    assert answer.status == status, answer.body
    assert set(answer.json) == {"error", "problems"}
    assert answer.json["problems"]
    assert not storage.removeprefix("sqlite:///") or not list_of(storage)


def list_of(storage):
    from mapsearch.core.errors import NoDatabase

    try:
        return list_studies(storage)
    except NoDatabase:
        return []


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b'{"folder": "tiny"', b""])
def test_a_body_that_is_no_json_is_refused(acting, body):
    service, _ = acting
    headers = {"Authorization": f"Bearer {service.act}", "Content_Type": "application/json"}
    answer = service.ask("POST", "/api/v1/studies", body, **headers)
    assert answer.status in (400, 422)
    assert set(answer.json) == {"error", "problems"}
    if body == b"{":
        assert answer.json["problems"][0].startswith("the body must be JSON, but is none at character 1")


def test_a_form_of_another_kind_is_no_json(acting):
    service, _ = acting
    body = json.dumps({"folder": "tiny"}).encode()
    answer = service.ask(
        "POST", "/api/v1/studies", body, Authorization=f"Bearer {service.act}", Content_Type="text/plain"
    )
    assert answer.status == 422


def test_what_is_told_is_what_the_commands_print(service, finished):
    assert service.call("GET", "/studies/tiny?limit=1000").json == json.loads(json.dumps(show("tiny", finished[1])))
    assert [study["name"] for study in service.call("GET", "/studies").json] == ["tiny"]
    assert service.call("GET", "/studies/tiny/verdict").json == service.call("GET", "/studies/tiny").json["verdict"]
    assert service.call("GET", "/studies/tiny/similarity").json["noise_floor"] > 0


def test_a_service_without_folders_starts_nothing(service, finished):
    before = show("tiny", finished[1])
    for path, data in (("", {"folder": "tiny"}), ("/tiny/resume", None), ("/tiny/confirm", {"seeds": 30})):
        assert service.call("POST", f"/studies{path}", data).status == 409
    assert show("tiny", finished[1]) == before


def test_what_a_deleted_study_leaves_is_told(acting, write_study):
    service, storage = acting
    launching.create(write_study(), (), storage)
    (kept := cache_folder(storage, "tiny")).parent.mkdir()
    kept.write_text("no folder")
    told = service.call("DELETE", "/studies/tiny?confirm=tiny").json
    assert (told["name"], told["left_over"]) == ("tiny", [str(kept)])


def test_the_report_is_the_page_of_the_command(service):
    report = service.call("GET", "/studies/tiny/report")
    assert report.headers["content-disposition"] == 'attachment; filename="tiny.html"'
    assert b"<svg" in report.body
