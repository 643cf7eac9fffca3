"""`mapsearch train`: metrics on stdout, progress on stderr, and a second run that has nothing to do."""

import json


def test_it_trains_the_recommended_trial_and_once_only(do, finished, tmp_path):
    url = finished[1]
    code, out, err = do("train", "tiny", "-o", "student", "--storage", url)
    assert code == 0, err
    assert [line.split()[:2] for line in out.splitlines()] == [["valid:", "accuracy"], ["test:", "accuracy"]]
    assert "teacher" in out
    assert "step 12: accuracy" in err
    assert (tmp_path / "student" / "student.safetensors").exists()
    again = do("train", "tiny", "-o", "student", "--storage", url)
    assert again[:2] == (0, out)
    assert "holds this student already" in again[2]
    code, out, _ = do("train", "student/recipe.yaml", "-o", "student", "--json", "--storage", url)
    assert json.loads(out)["training"]["study"] == "tiny"


def test_mistakes_are_one_line(refused, finished):
    url = finished[1]
    (line,) = refused("train", "tyny", "-o", "student", "--storage", url)
    assert "did you mean `tiny`" in line
    (line,) = refused("train", "none.yaml", "-o", "student", "--storage", url)
    assert "none.yaml" in line
    (line,) = refused("train", "tiny", "--storage", url)
    assert "--output" in line
