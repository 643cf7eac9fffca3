"""What people read of a study and its networks: tables and sentences."""

from collections.abc import Collection, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from mapsearch.core.layers import Layer
from mapsearch.core.summaries import StudyOverview, StudySummary, TrialSummary
from mapsearch.core.verdict import MOST_SEEDS_TOLD, Noise, Question, Verdict
from mapsearch.report.cell_text import cell_text
from mapsearch.report.html.comparison import StudyComparison


def progress_sentence(study: StudyOverview) -> str:
    """How far the study is, and what it took."""
    return (
        f"{study.state}: {_progress(study)} runs done, {study.cost.device_seconds:.0f} device seconds, "
        f"{study.cost.n_steps / study.n_steps:.1f} full-run equivalents"
    )


def next_commands(study: StudyOverview) -> list[str]:
    """What can be done with a study that has its verdict: more seeds where they settle it, the student, a page."""
    seeds = study.verdict.seeds_to_settle if study.verdict is not None else None
    more = [] if seeds is None or seeds > MOST_SEEDS_TOLD else [f"mapsearch confirm {study.name} --seeds {seeds}"]
    own = [f"mapsearch train {study.name} -o student", f"mapsearch report {study.name} -o report.html"]
    return [*more, *own, f"mapsearch export {study.name} --to torch -o distill.py --verify"]


def _progress(study: StudyOverview | StudySummary) -> str:
    """Runs done of all that the study will take: runs are planned stage by stage, so that few are known early on."""
    if study.state == "complete" or study.n_expected is None:
        return f"{study.n_complete} of {study.n_runs}"
    return f"{study.n_complete} of about {max(study.n_expected, study.n_runs)}"


def comparison_table(comparison: StudyComparison) -> Table:
    """What came out of two studies, and below it the settings that differ; other settings are only counted."""
    table = Table("", box=SIMPLE_HEAD)
    for name in comparison.names:
        table.add_column(cell_text(name), overflow="fold")
    for row in comparison.results:
        table.add_row(row.name, cell_text(row.one), cell_text(row.other))
    table.add_section()
    for row in comparison.settings:
        table.add_row(cell_text(row.name), cell_text(row.one), cell_text(row.other))
    table.caption, table.caption_justify = f"{comparison.n_equal} settings are equal", "left"
    return table


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
    table = Table(title=cell_text(title, "table.title"), title_justify="left", box=SIMPLE_HEAD)
    unasked = [f"{q.control}: not asked, {q.why_not}" for q in verdict.questions if q.difference is None]
    table.caption, table.caption_justify = cell_text("; ".join(unasked)), "left"
    for name in ("", "outcome"):
        table.add_column(name, overflow="fold")
    for name in ("gain", "95 % interval", "seeds", "trial"):
        table.add_column(name, justify="right", overflow="fold")
    for question in verdict.questions:
        table.add_row(*_question_cells(question))
    answered = {question.control for question in verdict.questions if question.subject == "nominee"}
    context = [row for row in verdict.against if row.control not in answered]
    if context and verdict.questions:
        table.add_section()
    for row in context:
        table.add_row(
            row.label, row.outcome or "context", f"{row.difference:+.4f}", _interval(row.low, row.high),
            str(row.n_seeds), str(row.trial),
        )  # fmt: skip
    return table


def _question_cells(question: Question) -> tuple[str, ...]:
    subject = "" if question.subject == "nominee" else f"{question.subject} against "
    name, trial = f"{subject}{question.control}", "-" if question.trial is None else str(question.trial)
    if question.difference is None:
        return name, "not asked", "-", "-", "-", trial
    interval = _interval(question.low, question.high)
    return name, question.outcome or "", f"{question.difference:+.4f}", interval, str(question.n_seeds), trial


def _interval(low: float | None, high: float | None) -> str:
    return "-" if low is None or high is None else f"{low:+.4f} .. {high:+.4f}"


def metrics_table(trials: Sequence[TrialSummary], verdict: Verdict) -> Table | None:
    """Means of every metric on fresh seeds, the nominee's first: a gain in one may be a loss in another.

    None where the task has but one metric.
    """
    confirmed = {t.number: t for t in trials if t.confirmed}
    names = list(dict.fromkeys(name for t in confirmed.values() for name in t.confirmed_means))
    if len(names) < 2:
        return None
    table = Table(
        title="every metric on fresh seeds, means; hold rows of equal seeds against each other",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("", overflow="fold")
    for name in (*names, "seeds", "trial"):
        table.add_column(cell_text(name), justify="right", overflow="fold")
    rows = {"nominee": verdict.nominee} | {q.control: q.trial for q in verdict.questions}
    rows |= {row.control: row.trial for row in verdict.against}
    for name, number in rows.items():
        if number in confirmed:
            trial = confirmed[number]
            means = [trial.confirmed_means.get(metric) for metric in names]
            cells = ["-" if mean is None else f"{mean:.4f}" for mean in means]
            table.add_row(name, *cells, str(len(trial.confirmed)), str(number))
    return table


def layers_table(network: str, layers: Sequence[Layer], taking_part: Collection[str] = ()) -> Table:
    """Every layer of a network, what it gives, whether it takes part, and why it cannot be used."""
    table = Table(
        title=f"{network}: {sum(not x.problem for x in layers)} of {len(layers)} layers can be mapped",
        title_justify="left",
    )
    for name in ("layer", "type", "feature", "use"):
        table.add_column(name, overflow="fold")
    for layer in layers:
        feature = f"{layer.kind or '-'} {'x'.join(map(str, layer.shape))}".strip()
        use = layer.problem or ("takes part" if layer.path in taking_part else "possible")
        table.add_row(cell_text(layer.path), cell_text(layer.type), feature, cell_text(use))
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
        table.add_column(name, overflow="fold")
    for name in ("trials", "runs done"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("verdict", overflow="fold")
    for study in studies:
        sentence = cell_text(study.sentence or "-")
        table.add_row(cell_text(study.name), study.state, str(study.n_trials), _progress(study), sentence)
    return table
