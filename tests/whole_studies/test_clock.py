"""A whole study whose clock jumps by days and years, ahead and back: every run ends once, the verdict is the same."""

import shutil
import subprocess
from pathlib import Path

import pytest
from study_processes import check_undisturbed, end, hear

DAY = 24 * 3600
JUMPS = {"check": -1200 * DAY, "noise": 30 * DAY, "search": -30 * DAY, "confirm": 0}
"""In which stage the clock jumps, and how far ahead of the true time it is from then on, in seconds."""


@pytest.fixture
def clock(tmp_path):
    """`clock(seconds)` sets how far ahead the clock of a process with `clock.variables` is."""
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler")
    library, file = tmp_path / "clock_jumps.so", tmp_path / "ahead"
    source = Path(__file__).with_name("clock_jumps.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)

    def set_to(seconds):
        new = file.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(file)  # whoever asks for the time finds a whole number

    set_to.variables = {"LD_PRELOAD": str(library), "CLOCK_AHEAD": str(file)}
    return set_to


@pytest.mark.slow
def test_a_clock_that_jumps_changes_nothing_and_lets_nobody_else_in(
    clock, mapsearch, write_study, hold, url, finished, results
):
    command = ("run", write_study(task="task.py:Held"), "--storage", url)
    clock(1200 * DAY)
    hold.begin()
    process = mapsearch(*command, **clock.variables)
    for stage, ahead in JUMPS.items():
        hold.reach(stage)
        clock(ahead)
        if stage in ("noise", "search"):  # by the true time its lease ended long ago, or goes on for long
            other = mapsearch(*command)
            hear(other, "may still live")
            code, said = end(other)
            assert code == 2, said
            assert f"run by process {process.pid}" in said
    hold.release()
    code, said = end(process)
    assert code == 0, said
    check_undisturbed(url, finished[1], results)
