"""A final student that the service trains, from the order to the weights; and what is refused."""

import json

import pytest
from safetensors.torch import load

REFUSED = [
    ("POST", "/studies/none/train", {}, 404),
    ("POST", "/studies/tiny/train", {"trial": 9999}, 422),
    ("POST", "/studies/tiny/train", {"trial": -1}, 422),
    ("POST", "/studies/tiny/train", {"steps": 1}, 422),
    ("POST", "/studies/tiny/train", {"keep": "all"}, 422),
    ("POST", "/studies/tiny/train", {"output": "/etc"}, 422),
    ("POST", "/studies/tiny/train", None, 422),
    ("GET", "/trainings/none", None, 404),
    ("GET", "/trainings/..%2f..", None, 404),
    ("POST", "/trainings/none/stop", None, 404),
    ("POST", "/trainings/none/resume", None, 404),
    ("DELETE", "/trainings/none", None, 404),
    ("GET", "/trainings/none/files/student.safetensors", None, 404),
]


@pytest.fixture(scope="module")
def training_service(start, finished, tmp_path_factory):
    """A service of the finished study `tiny` that may train its students."""
    data = tmp_path_factory.mktemp("data")
    return start("--storage", finished[1], "--studies", finished[0].parent.parent, "--data", data)


@pytest.mark.parametrize(("method", "path", "data", "status"), REFUSED)
def test_what_is_wrong_is_refused_and_queues_nothing(training_service, method, path, data, status):
    answer = training_service.call(method, path, data)
    assert answer.status == status, answer.body
    assert set(answer.json) == {"error", "problems"}
    assert training_service.call("GET", "/trainings?study=tiny").json == []


def test_a_service_that_starts_nothing_trains_nothing(service):
    assert service.call("POST", "/studies/tiny/train", {}).status == 409
    assert service.call("GET", "/trainings").json == []


def test_a_student_is_trained_fetched_and_removed(start, finished, tmp_path, eventually):
    service = start("--storage", finished[1], "--studies", finished[0].parent.parent, "--data", tmp_path / "data")
    asked = service.call("POST", "/studies/tiny/train", {"keep": "best"})
    assert (asked.status, asked.json["state"], asked.json["keep"]) == (202, "queued", "best")
    verdict = service.call("GET", "/studies/tiny/verdict").json
    assert asked.json["trial"] == (verdict["nominee"] if verdict["recommended"] is None else verdict["recommended"])
    here = f"/trainings/{asked.json['id']}"
    eventually(lambda: service.call("GET", here).json["state"] not in ("queued", "running"), seconds=200)
    done = service.call("GET", here).json
    assert (done["state"], done["problem"]) == ("complete", None)
    assert service.call("GET", "/trainings?study=tiny").json == [done]
    assert service.call("GET", "/trainings?study=other").json == []
    weights = service.call("GET", f"{here}/files/student.safetensors")
    assert weights.headers["content-disposition"] == 'attachment; filename="student.safetensors"'
    assert load(weights.body)
    report = json.loads(service.call("GET", f"{here}/files/metrics.json").body)
    assert (report["metrics"], report["teacher"]) == (done["metrics"], done["teacher"])
    for name in ("..%2forder.json", "order.json", "%2e%2e", "said"):
        assert service.call("GET", f"{here}/files/{name}").status == 404
    assert service.call("POST", f"{here}/resume").status == 409
    assert service.call("DELETE", here).status == 200
    assert service.call("GET", "/trainings").json == []
