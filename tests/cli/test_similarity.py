import csv
import json

import pytest

from mapsearch.core.similarity import Similarity


def test_similarity(do, write_study):
    study = write_study()
    code, out, _ = do("similarity", study)
    assert code == 0
    assert "noise floor" in out
    found = json.loads(do("similarity", study, "--json")[1])
    assert found["student_layers"] == ["blocks.0", "blocks.1"]
    assert found["teacher_layers"] == [f"blocks.{i}" for i in range(4)]
    assert [len(row) for row in found["values"]] == [4, 4]
    assert (found["measure"], found["n_samples"]) == ("cka", 64)
    assert 0 < found["noise_floor"] < 1


@pytest.mark.parametrize(("name", "begins"), [("x.png", b"\x89PNG"), ("x.svg", b"<?xml")])
def test_similarity_draws(do, write_study, tmp_path, name, begins):
    assert do("similarity", write_study(), "--plot", name)[0] == 0
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_similarity_as_csv(do, write_study):
    code, out, err = do("similarity", write_study(), "--csv")
    rows = list(csv.DictReader(out.splitlines()))
    assert (code, len(rows)) == (0, 2 * 4)
    assert {row["above_noise"] for row in rows} <= {"true", "false"}
    assert "next:" not in err


def test_similarity_against_an_earlier_one(do, write_study, tmp_path):
    study = write_study()
    (tmp_path / "a.json").write_text(do("similarity", study, "--json")[1])
    data = json.loads((tmp_path / "a.json").read_text())
    assert "the student is untrained" in data["notes"]
    data["values"][1] = data["values"][1][::-1]
    (tmp_path / "b.JSON").write_text(json.dumps(data))
    code, out, err = do("similarity", study, "--against", "b.JSON", "--plot", "c.SVG")
    assert code == 0
    assert out.splitlines()[-1].startswith("rank correlation ")
    assert "next: mapsearch run" in err
    assert "after - before" in (tmp_path / "c.SVG").read_text()
    found = json.loads(do("similarity", "a.json", "--against", "b.JSON", "--json")[1])
    assert found["before"] == data
    assert found["largest"]["student"] == "blocks.1"
    assert json.loads(do("similarity", "a.json", "--json")[1]) == json.loads((tmp_path / "a.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--csv", "--json"], "--csv cannot go with --json; choose one"),
        (["--csv", "--against", "a.json"], "--csv cannot go with --against; choose one"),
        (["--against", "no.json"], "no.json: cannot be read: No such file or directory; `--json` writes such a file"),
        (["--against", "study/study.yaml"], "study.yaml: not valid JSON"),
        (["--against", "keys.json"], "keys.json: unknown key `layers`; did you mean"),
        (["--against", "other.json"], "must have the same student layers, but only the first has `a` and only the"),
        (["--plot", "x"], "must end with .png or .svg, but got `x`"),
    ],
)
def test_a_similarity_asked_wrong(refused, write_study, tmp_path, arguments, message):
    study = write_study()
    (tmp_path / "keys.json").write_text('{"layers": 1}')
    other = Similarity(("a",), ("b",), ((0.5,),), 0.1, "cka", 64, "rows")
    (tmp_path / "other.json").write_text(json.dumps(other.to_json()))
    (line,) = refused("similarity", study, *arguments)
    assert message in line


def test_a_plot_that_cannot_be_written(refused, write_study):
    (line,) = refused("similarity", write_study(), "--plot", "nowhere/x.png")
    assert line.startswith("error: nowhere/x.png: cannot be written")
