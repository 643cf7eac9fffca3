"""What machines read of studies: the JSON of the contract."""

import json
import subprocess
import sys

import pytest

from mapsearch.api import queries


def test_it_needs_no_rich():
    code = "import sys, mapsearch.api.queries; print(sorted({'rich', 'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_json_of_a_study_has_the_fields_of_the_contract(finished):
    data = queries.show("tiny", finished[1])
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert set(data) == {
        "name", "state", "metric", "direction", "n_trials", "n_runs", "n_complete", "n_expected", "teacher",
        "verdict", "trials", "cost", "margin", "budget", "failures", "port", "note",
    }  # fmt: skip
    assert (data["name"], data["state"], data["metric"], data["direction"]) == (
        "tiny",
        "complete",
        "accuracy",
        "maximize",
    )
    verdict = data["verdict"]
    assert {"sentence", "recommended", "noise", "against"} <= set(verdict)
    assert set(verdict["noise"]) >= {"seed_sd", "mapping_sd", "flat"}
    assert verdict["decision"] in ("use_features", "use_outputs", "use_none", "undecided", "nothing_learned")
    assert data["margin"] == verdict["margin"] > 0
    assert data["budget"] == {"planned": 60, "spent": data["cost"]["full_run_equivalents"]}
    assert [q["control"] for q in verdict["questions"]][:3] == ["none", "outputs", "uniform"]
    for row in (*verdict["against"], *(q for q in verdict["questions"] if q["asked"])):
        assert set(row) >= {"control", "outcome", "difference", "low", "high", "p_value", "n_seeds"}
        assert row["outcome"] in ("BEATS", "TIES", "WORSE", "INCONCLUSIVE", None)
        assert row["outcome"] is None or row["low"] <= row["difference"] <= row["high"]
    numbers = [t["number"] for t in data["trials"]]
    assert numbers == list(range(data["n_trials"]))
    assert verdict["recommended"] in (*numbers, None)
    for row in data["trials"]:
        assert set(row) >= {"number", "proposer", "state", "value", "recipe", "confirmed", "overhead"}
        assert set(row["recipe"]) >= {
            "pairs", "loss", "projector", "aggregation", "feature_share", "output_weight", "temperature",
        }  # fmt: skip
        assert all(set(pair) == {"student", "teacher", "weight"} for pair in row["recipe"]["pairs"])
    confirmed = {row["number"]: row["confirmed"] for row in data["trials"]}
    for row in verdict["against"]:
        pairs = zip(confirmed[verdict["nominee"]][: row["n_seeds"]], confirmed[row["trial"]], strict=True)
        gains = [one - other for one, other in pairs]
        assert sum(gains) / row["n_seeds"] == pytest.approx(row["difference"], abs=1e-9)
    for row in data["trials"]:
        assert len(row["confirmed_seeds"]) == len(row["confirmed"])
        for name, metric in row["confirmed_metrics"].items():
            assert metric["mean"] == pytest.approx(sum(metric["values"]) / len(row["confirmed"]))
            assert name != "accuracy" or metric["values"] == row["confirmed"]
    assert any(row["confirmed_metrics"] for row in data["trials"])
    assert set(data["cost"]) == {"device_seconds", "full_run_equivalents"}
    assert data["cost"]["device_seconds"] > 0


def test_full_runs_are_counted_in_steps(finished):
    study, _, runs = queries.read("tiny", finished[1])
    data = queries.show("tiny", finished[1])
    assert data["cost"]["full_run_equivalents"] == sum(r.n_steps for r in runs) / 12
    assert data["n_runs"] == len(runs) == study.n_complete
