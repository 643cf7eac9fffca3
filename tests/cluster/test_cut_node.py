"""A whole study whose only worker is on a node of Ray to which the cable is cut: its late results are refused."""

import shutil
import sys
from pathlib import Path

import pytest
from containers import container
from study_processes import check_undisturbed, end, lost

from mapsearch.store.store import Store

pytest.importorskip("ray")
pytestmark = pytest.mark.cluster

PROGRAM = Path(__file__).with_name("cut_node.py")
SOON = {
    "RAY_health_check_initial_delay_ms": "500", "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "500", "RAY_health_check_failure_threshold": "4",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
}  # fmt: skip
"""A node that is silent for seconds, not for a minute, counts as lost."""


def test_the_runs_of_a_node_that_is_cut_off_are_trained_again_and_counted_once(
    mapsearch, write_study, url, n_complete, eventually, finished, results, tmp_path
):
    if shutil.which("ip") is None:
        pytest.skip("needs `ip`, of iproute2")
    cut = tmp_path / "cut"
    before = [*container("head", own_network=True), sys.executable, str(PROGRAM), str(cut)]
    command = ("run", write_study(), "--storage", url, "--executor", "ray", "--address", "10.0.0.1:6379")
    process = mapsearch(*command, before=before, RAY_AUTH_MODE="disabled", **SOON)
    eventually(lambda: n_complete(url) >= 10)
    cut.touch()  # the worker goes on, and nobody hears of it
    with Store.open_to_read(url) as store:
        eventually(lambda: any(event.kind == "lost" for event in store.events("tiny")))
    cut.unlink()
    code, said = end(process)
    assert code == 0, said
    assert lost(url) == sorted(run.key for run in results(url)[1] if run.attempt == 2) != []
    check_undisturbed(url, finished[1], results, attempts=(1, 2))
