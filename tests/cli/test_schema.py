import json
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_the_schema_knows_every_key_of_the_shipped_studies(do):
    schema = json.loads(do("schema")[1])
    assert schema["type"] == "object"
    assert not schema["additionalProperties"]
    shipped = [*ROOT.glob("studies/**/study.yaml"), *ROOT.glob("mapsearch/api/templates/**/study.yaml")]
    assert len(shipped) >= 3
    for path in shipped:
        data = yaml.safe_load(path.read_text())
        assert set(schema["required"]) <= set(data)
        assert_known(data, schema, schema)


def assert_known(data, schema, whole):
    schema = whole["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if isinstance(data, dict) and "properties" in schema:
        assert set(data) <= set(schema["properties"])
        for key, value in data.items():
            assert_known(value, schema["properties"][key], whole)
    types = {"string": str, "integer": int, "number": (int, float), "array": list, "object": dict}
    if schema.get("type") in types:
        assert isinstance(data, types[schema["type"]])


def test_every_key_is_described(do):
    schema = json.loads(do("schema")[1])
    sections = {"StudySpec": schema, **schema["$defs"]}
    keys = {
        f"{name}.{key}": value for name, section in sections.items() for key, value in section["properties"].items()
    }
    assert len(keys) >= 45
    assert [key for key, value in keys.items() if not value.get("description") and "$ref" not in value] == []
    assert all(section.get("description") for section in sections.values())


def test_one_device_may_be_given_without_brackets(do):
    devices = json.loads(do("schema")[1])["$defs"]["Execution"]["properties"]["devices"]
    assert {"auto", "string", "array"} <= {choice.get("const") or choice["type"] for choice in devices["anyOf"]}
