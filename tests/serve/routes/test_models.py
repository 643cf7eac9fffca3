"""Every answer has the form that the OpenAPI document says: no field more, none less."""

import jsonschema
import pytest

ASKED = {
    "/folders": "/folders",
    "/studies": "/studies",
    "/studies/{name}": "/studies/tiny?limit=1000",
    "/studies/{name}/overview": "/studies/tiny/overview?n_best=1000",
    "/studies/{name}/verdict": "/studies/tiny/verdict",
    "/studies/{name}/similarity": "/studies/tiny/similarity",
    "/studies/{name}/trials": "/studies/tiny/trials?limit=1000",
    "/studies/{name}/trials/{number}": "/studies/tiny/trials/0",
    "/studies/{name}/runs": "/studies/tiny/runs?limit=1000",
    "/studies/{name}/runs/{trial}/{rung}/{seed}": "/studies/tiny/runs/0/0/0",
    "/studies/{name}/exports": "/studies/tiny/exports",
    "/studies/{name}/events": "/studies/tiny/events",
    "/trainings": "/trainings",
}


def strict(schema):
    """The schema, and no field beside those that it names."""
    if isinstance(schema, dict):
        closed = {"additionalProperties": False} if "properties" in schema else {}
        return {**{key: strict(value) for key, value in schema.items()}, **closed}
    return [strict(value) for value in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("path", ASKED)
def test_an_answer_has_exactly_the_fields_that_are_described(service, path):
    document = strict(service.call("GET", "/openapi.json").json)
    described = document["paths"][f"/api/v1{path}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    answer = service.call("GET", first_run(service) if "rung" in path else ASKED[path])
    assert answer.status == 200, answer.body
    jsonschema.validate(answer.json, {**described, "components": document["components"]})


def first_run(service):
    return "/studies/tiny/runs/{trial}/{rung}/{seed}".format(
        **service.call("GET", "/studies/tiny/runs?limit=1").json[0]
    )


def test_every_answer_that_is_json_says_its_form(service):
    for path, methods in service.call("GET", "/openapi.json").json["paths"].items():
        for method, call in methods.items():
            [success] = [answer for status, answer in call["responses"].items() if status.startswith("2")]
            content = success["content"]
            assert content.get("application/json", {"schema": True})["schema"], (method, path)
