"""THE LOOP: the only file that sees steps, store and executor together.

A study file is checked, its networks are compared, recipes are proposed, students are distilled,
runs are stored; the best is confirmed and judged. Every stage first looks at what the database
already holds and does the rest, so that the same command resumes after any end.
"""

import platform
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mapsearch import __version__, search
from mapsearch.check import check, demand
from mapsearch.core.errors import NoDatabase, StudyBusy, StudyFailed, StudyNotFound
from mapsearch.core.layers import Layer
from mapsearch.core.recipe import Recipe
from mapsearch.core.records import (
    FINISHED,
    Cohort,
    Lost,
    Noise,
    Note,
    Progress,
    Run,
    RunKey,
    RunPlan,
    RunResult,
    Started,
    Trial,
    Verdict,
)  # fmt: skip
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.executors.inline import InlineExecutor
from mapsearch.executors.local import LocalExecutor
from mapsearch.executors.worker import Setup
from mapsearch.interrupt import Interrupt
from mapsearch.probe import compare_bench
from mapsearch.proposers.encoding import local_move, to_params, to_recipe
from mapsearch.proposers.sampler import Sampler
from mapsearch.report import noise_sentence, similarity_sentence
from mapsearch.store.store import Store
from mapsearch.tasks.loading import Bench, cache_folder, load_bench
from mapsearch.verdict import estimate_noise, judge, weak_teacher

DEFAULT_STORAGE = "sqlite:///mapsearch.db"
RENEW_SECONDS = 10.0

News = Note | Progress | Trial | Verdict
"""What the loop tells whoever iterates it."""


@dataclass(frozen=True)
class _Desk:
    """What every stage works with."""

    store: Store
    spec: StudySpec
    space: RecipeSpace
    similarity: Similarity
    executor: InlineExecutor | LocalExecutor
    interrupt: Interrupt

    @property
    def trials(self) -> list[Trial]:
        return self.store.trials(self.spec.name)

    @property
    def runs(self) -> list[Run]:
        return self.store.runs(self.spec.name)


def run_study(spec: StudySpec, storage: str = DEFAULT_STORAGE, *, inline: bool = False) -> Verdict:
    """Run a study to its verdict, or go on with it where it stopped.

    Args:
        storage: SQLAlchemy URL of the study database.
        inline: train in this process, without workers.

    Raises:
        MapsearchError: the study cannot be run as it is set up (exit code 2), or failed (exit code 1).
        KeyboardInterrupt: Ctrl-C; everything finished is saved, and the same call goes on.
    """
    verdict = None
    for news in run(spec, storage, inline=inline):
        verdict = news if isinstance(news, Verdict) else verdict
    assert verdict is not None
    return verdict


def run(spec: StudySpec, storage: str, study_file: str = "", *, inline: bool = False) -> Iterator[News]:
    """`run_study` as an iterator of what happens."""
    cache_dir = cache_folder(storage)
    bench = None
    found: dict[str, Any] = {}
    if not _is_known(storage, spec):  # bad input is refused before anything is stored
        bench = load_bench(spec, cache_dir)
        found = yield from _check_and_compare(bench, spec)
    with Store.open(storage) as store:
        store.create_study(spec.name, spec.to_json(), folder=str(spec.folder), study_file=study_file)
        store.acquire(spec.name)
        try:
            store.record_facts(spec.name, **found)
            again = store.release_runs(spec.name, crashed=store.study(spec.name).state == "failed")
            if again:
                yield Note("resume", f"{again} runs were cut off or failed, and start again")
            store.set_state(spec.name, "running")
            if inline and bench is None:
                bench = load_bench(spec, cache_dir)
            with Interrupt() as interrupt:
                desk = _open_desk(store, spec, cache_dir, bench if inline else None, interrupt)
                try:
                    yield from _stages(desk)
                finally:
                    desk.executor.close()
        except StudyBusy:
            raise  # the study is another's now
        except BaseException as error:
            store.release_runs(spec.name)
            store.set_state(spec.name, "failed" if isinstance(error, StudyFailed) else "stopped")
            raise
        finally:
            store.release(spec.name)


def _is_known(storage: str, spec: StudySpec) -> bool:
    """Whether the database holds this study, unchanged: then it was checked and compared before."""
    try:
        with Store.open(storage, create=False) as store:
            facts = store.study(spec.name).facts
            store.create_study(spec.name, spec.to_json(), folder=str(spec.folder), study_file="")
            return "similarity" in facts
    except (NoDatabase, StudyNotFound):
        return False


def _check_and_compare(bench: Bench, spec: StudySpec) -> Generator[News, None, dict[str, Any]]:
    yield from (Note("check", note) for note in bench.notes)
    report = check(bench, spec)
    yield from (Note("check", f"{f.level}: {f.message}") for f in report.findings if f.level == "warning")
    demand(report)
    teacher = ", ".join(f"{name} {value:.4g}" for name, value in report.teacher_metrics.items())
    yield Note("check", f"teacher on the validation data: {teacher}")
    yield Note("check", report.forecast)
    similarity = compare_bench(bench, spec, report.student, report.teacher)
    yield Note("compare", similarity_sentence(similarity))
    return {
        "environment": _environment(bench),
        "teacher": report.teacher_metrics,
        "layers": {"student": [x.to_json() for x in report.student], "teacher": [x.to_json() for x in report.teacher]},
        "similarity": similarity.to_json(),
    }


def _environment(bench: Bench) -> dict[str, str]:
    """What a later reader needs to know about this machine."""
    device = torch.cuda.get_device_name(bench.device) if bench.device.type == "cuda" else platform.processor()
    versions = {"mapsearch": __version__, "torch": torch.__version__, "optuna": version("optuna")}
    return {"python": platform.python_version(), "system": platform.platform(), "device": device, **versions}


def _open_desk(store: Store, spec: StudySpec, cache_dir: Path, bench: Bench | None, interrupt: Interrupt) -> _Desk:
    facts = store.study(spec.name).facts
    student, teacher = (tuple(Layer.from_json(x) for x in facts["layers"][name]) for name in ("student", "teacher"))
    space = RecipeSpace(student, teacher)
    executor: InlineExecutor | LocalExecutor
    if bench is not None:
        executor = InlineExecutor(bench, space, spec.train)
    else:
        setup = Setup(spec.task, spec.folder, spec.options, cache_dir, spec.train, spec.train.device, space)
        executor = LocalExecutor(setup, None if spec.search.workers == "auto" else spec.search.workers)
    return _Desk(store, spec, space, Similarity.from_json(facts["similarity"]), executor, interrupt)


def _stages(desk: _Desk) -> Iterator[News]:
    name, spec = desk.spec.name, desk.spec
    logits = yield from _tune(desk)
    noise = yield from _noise(desk, logits)
    if noise is not None and noise.flat and spec.search.when_flat == "stop":
        yield Note("search", "skipped: `search.when_flat: stop` and mappings do not differ beyond seed noise")
    else:
        yield from _search(desk, logits)
    yield from _shortlist(desk)
    nominee = yield from _confirm(desk)
    trials, runs = desk.trials, desk.runs
    controls = {t.control: t.number for t in trials if t.control in (*search.PLAIN, "article")}
    controls |= {t.control: t.number for t in trials if t.proposer == "matched"}
    teacher = desk.store.study(name).facts["teacher"][spec.metric]
    cautions = weak_teacher(teacher, trials, runs, spec.direction)
    verdict = judge(trials, runs, nominee, controls, spec.direction, noise, spec.confirm.margin, cautions)
    desk.store.record_facts(name, verdict=verdict.to_json())
    desk.store.set_state(name, "complete")
    yield verdict


def _tune(desk: _Desk) -> Generator[News, None, Recipe]:
    """Logit weight and temperature without features, frozen for the rest of the study."""
    if not desk.trials:
        desk.store.add_trials(desk.spec.name, search.tune_trials(desk.spec))
    tune = [t for t in desk.trials if t.proposer == "tune"]
    yield from _train(desk, tune, search.plan(desk.spec, tune, search.TUNE, search.tune_seeds(desk.spec), "tune"))
    logits = search.tuned_logits(desk.trials, desk.spec.direction, "kl")
    yield Note("tune", f"frozen: {logits}")
    return logits


def _noise(desk: _Desk, logits: Recipe) -> Generator[News, None, Noise | None]:
    """All controls once, the hand-made mappings on several seeds: do mappings differ beyond seed noise?"""
    spec = desk.spec
    if not any(t.proposer == "control" for t in desk.trials):
        strong = search.tuned_logits(desk.trials, spec.direction, "dkd")
        new = search.control_trials(spec, desk.space, desk.similarity, logits, strong, len(desk.trials))
        params = [to_params(t.recipe, desk.space, spec.space) or {} for t in new]
        desk.store.add_trials(spec.name, [replace(t, params=p) for t, p in zip(new, params, strict=True)])
    controls = [t for t in desk.trials if t.proposer == "control"]
    noisy = [t for t in controls if t.control in search.NOISE]
    wanted = search.plan(spec, controls, search.SEARCH, search.search_seeds(spec), "search")
    extra = search.plan(spec, noisy, search.SEARCH, search.noise_seeds(spec), "noise")
    yield from _train(desk, controls, wanted, extra)
    noise = estimate_noise(search.noise_table(desk.trials, desk.runs))
    if noise is not None:
        yield Note("noise", noise_sentence(noise, spec.search.when_flat))
    return noise


def _search(desk: _Desk, logits: Recipe) -> Iterator[News]:
    """Batches of proposals, each told to the sampler before the next is asked for."""
    spec, store = desk.spec, desk.store
    sampler = Sampler(
        store.url, spec.name, spec.direction, spec.space, len(desk.space.student), len(desk.space.teacher),
        spec.search.sampler, spec.seed,
    )  # fmt: skip
    sampler.forget_all_but(t.sampler_number for t in desk.trials if t.sampler_number is not None)
    while True:
        _tell(desk, sampler)
        proposals = [t for t in desk.trials if t.proposer in ("curve", "free")]
        waiting = [t for t in proposals if t.state == "waiting"]
        if not waiting:
            waiting = _propose(desk, sampler, logits, len(proposals))
            store.add_trials(spec.name, waiting)
        if not waiting:
            return
        plans = search.plan(spec, waiting, search.SEARCH, search.search_seeds(spec), "search")
        yield from _train(desk, waiting, [p for p in plans if p.recipe.mapping.pairs])


def _propose(desk: _Desk, sampler: Sampler, logits: Recipe, n_before: int) -> list[Trial]:
    """The next batch: mostly depth curves, some free choices, every other of those a neighbour of the best."""
    spec, trials = desk.spec, desk.trials
    best = search.incumbent(trials, spec.direction)
    z = desk.similarity.z()
    batch: list[Trial] = []
    for draw in range(n_before, min(n_before + spec.search.batch, spec.search.trials)):
        number, asked = len(trials) + len(batch), None
        if not search.is_free(draw, spec.space.free):
            asked, params = sampler.ask("curve", draw, number)
        elif best is not None and search.is_free(draw, spec.space.free / 2):
            params = local_move(best.recipe, desk.space, spec.seed + draw)
        else:
            asked, params = sampler.ask("free", draw, number)
        recipe = to_recipe(params, desk.space, z, logits)
        batch.append(
            Trial(number, "curve" if "lo" in params else "free", recipe or logits, params=params, sampler_number=asked)
        )
    return batch


def _tell(desk: _Desk, sampler: Sampler) -> None:
    """Tell the sampler every result it can learn from, once: our row came first, so a crash loses nothing."""
    untold = desk.store.untold(desk.spec.name)
    for trial in untold:
        value = trial.value if trial.state == "complete" else None
        if trial.state == "crashed":
            if trial.sampler_number is not None:
                sampler.forget(trial.sampler_number)
        elif trial.sampler_number is not None:
            sampler.tell(trial.sampler_number, value)
        elif trial.params:
            number = sampler.add(trial.params, value, trial.number)
            desk.store.set_sampler_number(desk.spec.name, trial.number, number)
    desk.store.mark_told(desk.spec.name, [trial.number for trial in untold])


def _shortlist(desk: _Desk) -> Iterator[News]:
    """The best quarter, longer and on two seeds."""
    spec = desk.spec
    best = search.shortlist([t for t in desk.trials if t.proposer != "matched"], spec.direction)
    yield Note("shortlist", f"{len(best)} recipes go on: trials {', '.join(str(t.number) for t in best)}")
    yield from _train(desk, [], search.plan(spec, best, search.TUNE, search.tune_seeds(spec), "shortlist"))


def _confirm(desk: _Desk) -> Generator[News, None, int | None]:
    """The finalists and every control at the full schedule, on fresh seeds and data the search never saw."""
    spec, store = desk.spec, desk.store
    known = [t for t in desk.trials if t.proposer != "matched"]
    best = search.finalists(known, desk.runs, spec.confirm.finalists, spec.direction)
    if best and not any(t.proposer == "matched" for t in desk.trials):
        store.add_trials(spec.name, search.matched_trials(best[0].recipe, known, desk.space, len(known)))
    matched = [t for t in desk.trials if t.proposer == "matched"]
    plain = [t for t in known if t.control in (*search.PLAIN, "article") and t not in best]
    plans = search.plan(
        spec, [*best, *plain, *matched], search.FULL, search.confirm_seeds(spec), "confirm", split="test"
    )
    if best:
        yield Note("confirm", f"nominee: trial {best[0].number}, {best[0].recipe}")
    yield from _train(desk, matched, plans)
    return best[0].number if best else None


def _train(
    desk: _Desk, trials: Sequence[Trial], wanted: Sequence[RunPlan], extra: Sequence[RunPlan] = ()
) -> Iterator[News]:
    """Do the runs that are not done yet, then close the waiting trials with the runs wanted of them."""
    name = desk.spec.name
    plans = list({plan.key: plan for plan in (*wanted, *extra)}.values())
    desk.store.plan_runs(name, plans)
    done = {run.key for run in desk.runs if run.state in FINISHED}
    yield from _execute(desk, [plan for plan in plans if plan.key not in done])
    runs = desk.runs
    keys = {plan.key for plan in plans}
    failed = [run for run in runs if run.key in keys and run.state == "crashed"]
    if plans and len(failed) == len(plans):
        error = failed[0].result.error if failed[0].result else ""
        raise StudyFailed(f"stage {plans[0].stage}: all {len(plans)} runs failed; the first: {error}")
    for trial in trials:
        if trial.state == "waiting":
            state, value = search.outcome(trial, runs, wanted)
            desk.store.finish_trial(name, trial.number, state, value)
            yield replace(trial, state=state, value=value)


def _execute(desk: _Desk, plans: Sequence[RunPlan]) -> Iterator[News]:
    """Train the plans in cohorts and write what happens; a lost cohort is tried once more, run by run."""
    store, name, metric = desk.store, desk.spec.name, desk.spec.metric
    attempts: dict[RunKey, int] = {}
    left: list[Cohort] = search.cohorts(plans, desk.executor.n_workers, desk.spec.train.cohort)
    renewed, lost_once = time.monotonic(), set[RunKey]()
    while left:
        again: list[Cohort] = []
        for event in desk.executor.run(left):
            if isinstance(event, Started):
                attempts |= store.start_runs(name, event.keys, event.worker)
            elif isinstance(event, RunResult):
                store.finish_run(name, event, attempts[event.key], event.metrics.get(metric))
            elif isinstance(event, Progress):
                yield event
            elif isinstance(event, Lost):
                store.add_event(name, "lost", f"{len(event.keys)} runs: {event.error}")
                yield Note("lost", f"{len(event.keys)} runs: {event.error}")
                for key in event.keys:
                    if key in lost_once:
                        store.finish_run(name, RunResult(key, "crashed", error=event.error), attempts[key], None)
                    else:
                        again += [(plan,) for plan in plans if plan.key == key]
                lost_once.update(event.keys)
            desk.interrupt.raise_if_asked()
            if time.monotonic() - renewed > RENEW_SECONDS:
                store.renew(name)
                renewed = time.monotonic()
        left = again
