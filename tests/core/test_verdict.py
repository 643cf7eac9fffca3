import json

import pytest

from mapsearch.core.verdict import Against, Noise, Verdict

AGAINST = Against("uniform", 4, "TIES", 0.003, -0.01, 0.016, 0.6, 6)


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict("No mapping beats outputs.", 3, 1, Noise(0.01, 0.004, True), (AGAINST,), ("only 6 seeds",)),
        Verdict("Nothing was confirmed.", None, None, None, ()),
    ],
)
def test_json_gives_the_same_verdict_back(verdict):
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
