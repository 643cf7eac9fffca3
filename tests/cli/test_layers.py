import json


def test_layers(do, write_study):
    study = write_study()
    code, out, _ = do("layers", study)
    assert code == 0
    assert "teacher: " in out
    assert "blocks.3" in out
    found = json.loads(do("layers", study, "--json")[1])
    assert [x["path"] for x in found["student"] if x["path"].startswith("blocks.") and x["path"].count(".") == 1] == [
        "blocks.0",
        "blocks.1",
    ]
    assert {"path", "type", "kind", "shape", "calls", "problem", "takes_part"} <= set(found["teacher"][0])
    assert [x["path"] for x in found["student"] if x["takes_part"]] == ["blocks.0", "blocks.1"]
    assert any(x["path"] == "blocks" and x["problem"] for x in found["teacher"]), "a container says why not"
