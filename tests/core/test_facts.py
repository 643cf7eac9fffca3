"""Facts as plain data and back, in the form that earlier versions wrote."""

import json

from mapsearch.core.facts import StudyFacts
from mapsearch.core.layers import Layer
from mapsearch.core.similarity import Similarity
from mapsearch.core.verdict import Against, Noise, Verdict

FACTS = StudyFacts(
    environment={"torch": "2.9.0", "task_sha256": "00ff"},
    teacher={"accuracy": 0.9, "spread": None},
    layers={"student": (Layer("s.0", "Linear", "vector", (8,), 1),), "teacher": ()},
    similarity=Similarity(("s.0",), ("t.0",), ((0.9,),), 0.1, "cka", 64, "rows"),
    finalists=(3, 1),
    verdict=Verdict(
        "so", 3, None, Noise(0.1, 0.2, False), (Against("none", 0, "TIES", 0.0, -1.0, 1.0, 1.0, 6),), ("w",)
    ),
)


def test_facts_come_back_equal():
    assert StudyFacts.from_json(json.loads(json.dumps(FACTS.to_json()))) == FACTS


def test_what_is_not_known_yet_is_left_out():
    assert StudyFacts().to_json() == {}
    assert StudyFacts.from_json({}) == StudyFacts()
    assert not StudyFacts().is_checked
    assert StudyFacts(finalists=()).to_json() == {"finalists": []}
