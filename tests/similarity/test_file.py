"""The file of a similarity: what was written comes back, and a bad file is one clear line."""

import json

import pytest

from mapsearch.core.errors import SimilarityError
from mapsearch.core.similarity import Similarity
from mapsearch.similarity.file import read_similarity

BEFORE = Similarity(
    ("s.0", "s.1"), ("t.0", "t.1", "t.2"), ((0.9, 0.5, 0.1), (0.2, 0.6, 0.3)), 0.05, "cka", 256, "rows",
    spread_floor=0.04, standard_errors=((0.02,) * 3,) * 2, estimator="debiased", digest="a" * 12,
)  # fmt: skip


def test_a_file_gives_the_same_similarity_back(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(BEFORE.to_json()))
    assert read_similarity(tmp_path / "a.json") == BEFORE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5_000, "not valid JSON"),
        ("[1]", "a similarity is a mapping of keys to values, but got list"),
        ({"valus": 1}, r"unknown key `valus`; did you mean `values`\?"),
        ({"values": None}, "`values`: input should be a valid tuple"),
        ({"values": "drop"}, "`values` is missing"),
        ({"values": [[1, 2], [3, 4]]}, "`values` must have 2 rows of 3 numbers, one per layer"),
        ({"values": [[1, 2, "x"], [3, 4, 5]]}, r"`values\.0\.2`: input should be a valid number"),
        ({"values": [[1, 2, float("nan")], [3, 4, 5]]}, "`values` must be finite numbers"),
        ({"noise_floor": float("inf")}, "must be finite numbers"),
        ({"standard_errors": [[0.1]]}, "`standard_errors` must have 2 rows of 3"),
        ({"student_layers": ["a", "a"]}, "`student_layers` must be names, each once"),
        ({"measure": "ckaa"}, "`measure`: input should be 'cka'"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path, text, message):
    if isinstance(text, dict):
        data = {**BEFORE.to_json(), **text}
        text = json.dumps({key: value for key, value in data.items() if value != "drop"})
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SimilarityError, match=message) as caught:
        read_similarity(tmp_path / "a.json")
    assert str(caught.value).startswith(str(tmp_path / "a.json"))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SimilarityError, match=r"no\.json: cannot be read: No such file or directory"):
        read_similarity(tmp_path / "no.json")
