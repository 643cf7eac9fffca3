"""What people read of a study and its networks: tables and sentences."""

from collections.abc import Collection, Sequence

from rich.table import Table
from rich.text import Text

from mapsearch.core.layers import Layer
from mapsearch.core.recipe import Recipe
from mapsearch.core.summaries import StudyOverview, StudySummary, TrialSummary
from mapsearch.core.verdict import Noise, Question, Verdict
from mapsearch.report.cell_text import cell_text

SHOWN_TRIALS = 8


def progress_sentence(study: StudyOverview) -> str:
    """How far the study is, and what it took."""
    return (
        f"{study.state}: {_progress(study)} runs done, {study.cost.device_seconds:.0f} device seconds, "
        f"{study.cost.n_steps / study.n_steps:.1f} full-run equivalents"
    )


def _progress(study: StudyOverview | StudySummary) -> str:
    """Runs done of all that the study will take: runs are planned stage by stage, so that few are known early on."""
    if study.state == "complete" or study.n_expected is None:
        return f"{study.n_complete} of {study.n_runs}"
    return f"{study.n_complete} of about {max(study.n_expected, study.n_runs)}"


def noise_sentence(noise: Noise, when_flat: str) -> str:
    """What the noise stage found, and what the user may do about it."""
    found = f"seed sd {noise.seed_sd:.3g}, between mappings on equal seeds {noise.mapping_sd:.3g}"
    found += f" (at most {noise.mapping_limit:.3g}, 95 %)" if noise.mapping_limit is not None else ""
    if noise.blind:
        return f"{found}: the first rung is too short to tell anything; raise `train.steps` or `search.rungs`"
    if not noise.flat:
        return f"{found}: mappings differ by more than chance"
    advice = "" if when_flat == "stop" else "; `search.when_flat: stop` in the study file would save the search"
    return f"{found}: hand-made mappings cannot be told apart here, the mapping may not matter{advice}"


def verdict_table(verdict: Verdict, metric: str) -> Table:
    """The questions with their answers, below them the controls that are context."""
    margin = f", margin {verdict.margin:.3g}" if verdict.margin is not None else ""
    title = f"gain of the nominee (trial {verdict.nominee}), {metric}, + is better{margin}"
    table = Table(title=cell_text(title, "table.title"), title_justify="left")
    for name in ("", "outcome"):
        table.add_column(name)
    for name in ("gain", "95 % interval", "seeds", "trial"):
        table.add_column(name, justify="right")
    for question in verdict.questions:
        table.add_row(*_question_cells(question))
    answered = {question.control for question in verdict.questions if question.subject == "nominee"}
    context = [row for row in verdict.against if row.control not in answered]
    if context and verdict.questions:
        table.add_section()
    for row in context:
        table.add_row(
            f"against {row.control}", row.outcome or "context", f"{row.difference:+.4f}", _interval(row.low, row.high),
            str(row.n_seeds), str(row.trial),
        )  # fmt: skip
    return table


def _question_cells(question: Question) -> tuple[str, ...]:
    subject = "" if question.subject == "nominee" else f"`{question.subject}` "
    name, trial = f"{subject}against {question.control}", "-" if question.trial is None else str(question.trial)
    if question.difference is None:
        return name, f"not asked: {question.why_not}", "-", "-", "-", trial
    interval = _interval(question.low, question.high)
    return name, question.outcome or "", f"{question.difference:+.4f}", interval, str(question.n_seeds), trial


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:+.4f} .. {high:+.4f}"


def trials_table(trials: Sequence[TrialSummary], metric: str, direction: str) -> Table:
    """The best recipes of the search, the controls below them."""
    arrow, sign = ("↑", -1.0) if direction == "maximize" else ("↓", 1.0)
    table = Table(title="recipes: best proposals first, then the controls", title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("from")
    table.add_column(cell_text(f"search {metric} {arrow}"), justify="right")
    table.add_column(cell_text(f"confirmed {metric} {arrow} (n)"), justify="right")
    table.add_column("time vs outputs", justify="right")
    table.add_column("recipe", overflow="fold")
    proposals = [t for t in trials if t.proposer in ("curve", "free") and t.value is not None]
    ranked = sorted(proposals, key=lambda t: (not t.confirmed, sign * (t.value or 0.0)))
    tuned = [] if ranked else [t for t in trials if t.proposer == "tune"]
    for trial in [*tuned, *ranked[:SHOWN_TRIALS], *(t for t in trials if t.control)]:
        values = trial.confirmed
        table.add_row(
            str(trial.number),
            trial.control + (" (matched)" if trial.proposer == "matched" else "") or trial.proposer,
            f"{trial.value:.4f}" if trial.value is not None and trial.proposer != "matched" else "-",
            f"{sum(values) / len(values):.4f} ({len(values)})" if values else "-",
            f"{trial.overhead:.2f}x" if trial.overhead is not None else "-",
            _recipe_text(trial),
        )
    return table


def _recipe_text(trial: TrialSummary) -> Text:
    """The recipe, and on a line of its own the first thing that went wrong."""
    kind = "note" if trial.state == "complete" else trial.state
    troubled = [cell_text(f"{kind}: {text}") for text in trial.warnings[:1]]
    return Text("\n").join([cell_text(str(Recipe.from_json(trial.recipe))), *troubled])


def layers_table(network: str, layers: Sequence[Layer], taking_part: Collection[str] = ()) -> Table:
    """Every layer of a network, whether it takes part, usable or not and why."""
    table = Table(
        title=f"{network}: {sum(not x.problem for x in layers)} of {len(layers)} layers can be mapped",
        title_justify="left",
    )
    for name in ("layer", "type", "kind", "shape"):
        table.add_column(name, overflow="fold")
    table.add_column("calls", justify="right")
    table.add_column("takes part")
    table.add_column("usable, or why not", overflow="fold")
    for layer in layers:
        shape = "x".join(map(str, layer.shape))
        table.add_row(
            cell_text(layer.path), cell_text(layer.type), layer.kind or "-", shape or "-", str(layer.calls),
            "yes" if layer.path in taking_part else "-", cell_text(layer.problem or "yes"),
        )  # fmt: skip
    return table


def findings_table(findings: Sequence[tuple[str, str, str]]) -> Table:
    """(level, topic, message) of a check, line by line."""
    table = Table()
    for name in ("", "about", "found"):
        table.add_column(name, overflow="fold")
    for level, what, message in findings:
        table.add_row(level, what, cell_text(message))
    return table


def studies_table(studies: Sequence[StudySummary]) -> Table:
    """One line per study."""
    table = Table()
    for name in ("study", "state"):
        table.add_column(name)
    for name in ("trials", "runs done"):
        table.add_column(name, justify="right")
    table.add_column("verdict", overflow="fold")
    for study in studies:
        sentence = cell_text(study.sentence or "-")
        table.add_row(cell_text(study.name), study.state, str(study.n_trials), _progress(study), sentence)
    return table
