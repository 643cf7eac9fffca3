import re

import pytest
from rich.console import Console

from mapsearch.cli import progress_display
from mapsearch.cli.progress_display import show_updates
from mapsearch.core.events import Message, Progress, Standing
from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict

VERDICT = Verdict("a draw", None, None, None, ())
OUTPUTS = Trial(0, "control", Recipe(), "outputs", state="complete", value=0.5)


def trial(number, value):
    return Trial(number, "curve", Recipe(), state="complete", value=value)


def test_news_are_lines_on_stderr_and_the_verdict_comes_out(capsys):
    update = [
        Message("check", "batch [0, 1] is fine"),
        Progress((3, 0, 0), 1, 1, 10, 0.5),
        Trial(3, "control", Recipe(), "none", state="complete", value=0.51234),
        Trial(4, "control", Recipe(), "last", state="infeasible"),
        VERDICT,
    ]
    assert show_updates(iter(update)) is VERDICT
    said = capsys.readouterr()
    assert said.out == ""
    lines = [line.split() for line in said.err.splitlines()]
    assert lines[0][:3] == ["check", "batch", "[0,"], "square brackets are text, not colours"
    assert lines[1][1:5] == ["none", "0.5123", "trial", "3,"]
    assert lines[2][1:3] == ["last", "infeasible"]


def test_without_a_verdict_nothing_comes_out():
    assert show_updates(iter([])) is None


def test_control_characters_are_written_out(capsys):
    show_updates(iter([Message("search", "at \x1b[2J\u202e\n[bold]")]))
    assert capsys.readouterr().err == "   search  at " + r"\x1b[2J\u202e\n[bold]" + "\n"


def test_a_new_best_is_told_once_and_never_a_control(capsys):
    better = trial(5, 0.7)
    updates = [Standing(n, 9, n, 9, best, OUTPUTS) for n, best in enumerate([OUTPUTS, better, better, trial(6, 0.8)])]
    show_updates(iter(updates))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[3] for line in lines] == ["0.7000", "0.8000"]


def test_without_a_terminal_there_is_one_line_a_minute(capsys):
    seconds = iter(range(0, 10_000, 15))
    updates = [Standing(n, 40, n / 4, 10, trial(5, 0.7), OUTPUTS) for n in range(1, 21)]
    show_updates(iter([Message("search", "begins"), *updates]), clock=lambda: float(next(seconds)))
    lines = [line for line in capsys.readouterr().err.splitlines() if "of at most 40 runs" in line]
    assert 3 <= len(lines) < 20
    assert "best so far 0.7 (trial 5), `outputs` 0.5" in lines[-1]
    assert "left" in lines[-1]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_terminal_shows_stage_runs_cost_and_best_at_every_width(monkeypatch, width):
    console = Console(stderr=True, force_terminal=True, width=width, legacy_windows=False, _environ={"TERM": "xterm"})
    monkeypatch.setattr(progress_display, "Console", lambda **options: console)
    updates = [
        Message("search", "begins"),
        Progress((3, 0, 0), 1, 1, 10, 0.5),
        *(Standing(n, 136, n / 2, 79, trial(5, 0.7), OUTPUTS) for n in range(57, 62)),
    ]
    with console.capture() as capture:
        show_updates(iter(updates), clock=iter(map(float, range(1000))).__next__)
    text = " ".join(capture.get().split())
    for told in ("stage 5 of 7", "61 of", "136 runs", "best so far 0.7", "`outputs` 0.5", "left", "step 1/10"):
        assert told in text
    lines = console.render_str(re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]|\r", "", capture.get())).plain.splitlines()
    assert max(map(len, lines)) <= width
