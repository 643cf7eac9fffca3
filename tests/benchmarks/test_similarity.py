import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_similarity_benchmark_runs_and_its_errors_hold(tmp_path):
    command = [sys.executable, "-m", "benchmarks.similarity", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    (record,) = tmp_path.glob("similarity-*.json")
    bars = {bar["what"]: bar["verdict"] for bar in json.loads(record.read_text())["bars"]}
    assert bars["largest error on the list"] == "met"
    assert bars["identical networks: diagonal off 1"] == "met"
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".md", ".png"}
