"""A study whose cable to PostgreSQL is cut and mended: it notices, keeps what it finds, and goes on."""

import shutil
import sys
from pathlib import Path

import pytest
from containers import container
from sqlalchemy import make_url
from study_fixtures import Hold, write
from study_processes import check_undisturbed, end

PROGRAM = Path(__file__).parents[1] / "cut_network.py"
SOON = "connect_timeout=3&keepalives_idle=1&keepalives_interval=1&keepalives_count=3&tcp_user_timeout=3000"
"""A network that is silent for three seconds counts as cut."""

KEPT = "mapsearch-cache/unwritten-*"
"""Where results are kept meanwhile."""


@pytest.mark.slow
@pytest.mark.postgres
def test_a_network_that_is_cut_and_mended_changes_nothing(
    postgresql, postgresql_url, mapsearch, eventually, finished, results, tmp_path
):
    if shutil.which("ip") is None:
        pytest.skip("needs `ip`, of iproute2")
    cut, there = tmp_path / "cut", f"{postgresql.folder}/.s.PGSQL.5432"
    before = [*container("client", own_network=True), sys.executable, str(PROGRAM), there, str(cut)]
    url = f"postgresql+psycopg://mapsearch@10.0.0.2/{make_url(postgresql_url).database}?{SOON}"
    study = write(tmp_path / "study", task="task.py:Held")
    hold = Hold(study.parent, postgresql_url, eventually)
    hold.begin()
    process = mapsearch("run", study, "--storage", url, before=before)
    for stage in ("tune", "search", "confirm"):
        hold.reach(stage)
        cut.touch()
        hold.release()
        eventually(lambda: any(b'"ended"' in file.read_bytes() for file in tmp_path.glob(KEPT)))
        hold.begin()
        cut.unlink()
    hold.release()
    code, said = end(process)
    assert code == 0, said
    assert said.count("results kept meanwhile are written") >= 3
    check_undisturbed(postgresql_url, finished[1], results)
