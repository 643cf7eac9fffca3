from mapsearch.cli.progress_display import show_updates
from mapsearch.core.events import Message, Progress
from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict

VERDICT = Verdict("a draw", None, None, None, ())


def test_news_are_lines_on_stderr_and_the_verdict_comes_out(capsys):
    update = [
        Message("check", "batch [0, 1] is fine"),
        Progress((3, 0, 0), 1, 1, 10, 0.5),
        Trial(3, "control", Recipe(), "none", state="complete", value=0.51234),
        Trial(4, "curve", Recipe(), state="infeasible"),
        VERDICT,
    ]
    assert show_updates(iter(update)) is VERDICT
    said = capsys.readouterr()
    assert said.out == ""
    lines = [line.split(maxsplit=3) for line in said.err.splitlines()]
    assert lines[0][:3] == ["check", "batch", "[0,"], "square brackets are text, not colours"
    assert lines[1][:3] == ["3", "none", "0.5123"]
    assert lines[2][:3] == ["4", "curve", "infeasible"]


def test_without_a_verdict_nothing_comes_out():
    assert show_updates(iter([])) is None


def test_control_characters_are_written_out(capsys):
    show_updates(iter([Message("search", "at \x1b[2J\u202e\n[bold]")]))
    assert capsys.readouterr().err == "   search  at " + r"\x1b[2J\u202e\n[bold]" + "\n"
