"""THE LOOP: a study from its file to its verdict.

A study file is loaded, its networks are checked and compared, recipes are proposed, students are
distilled, runs are stored; the best is confirmed and judged. Every stage first looks at what the
database already holds and does the rest, so that the same command resumes after any end.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from mapsearch.controller import stages
from mapsearch.controller.confirmation import confirm, freeze_margin
from mapsearch.controller.context import OnEvent, StudyContext, Update, verdict_of
from mapsearch.controller.ending import recorded_end
from mapsearch.controller.interrupt import Interrupt
from mapsearch.controller.judgement import give_verdict
from mapsearch.controller.nomination import admit
from mapsearch.controller.outage import Outages
from mapsearch.controller.porting import expected_old, read_old, run_again, shortened_search, take_over
from mapsearch.controller.preparation import announce_wait, prepare
from mapsearch.controller.proposals import try_proposals
from mapsearch.core.cluster import RayCluster
from mapsearch.core.default_metric import with_default_metric
from mapsearch.core.events import Message
from mapsearch.core.facts import StudyFacts
from mapsearch.core.folders import cache_folder, spool_file
from mapsearch.core.port import OldStudy
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.studies import DEFAULT_STORAGE
from mapsearch.core.verdict import Verdict
from mapsearch.executors.base import Executor, Setup
from mapsearch.executors.inline import InlineExecutor
from mapsearch.executors.local import LocalExecutor
from mapsearch.executors.ray_cluster import RayExecutor
from mapsearch.executors.scheduler import Scheduler
from mapsearch.executors.session import Session
from mapsearch.proposers.optuna_record import create_tables
from mapsearch.report.standing import stage_text
from mapsearch.search import base_recipe
from mapsearch.store.handle import StudyHandle
from mapsearch.store.spool import Spool
from mapsearch.store.store import LEASE_SECONDS, Store
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.user_code import no_exit


def run_study(
    spec: StudySpec,
    storage: str = DEFAULT_STORAGE,
    *,
    inline: bool = False,
    cluster: RayCluster | None = None,
    n_seeds: int | None = None,
    on_event: OnEvent | None = None,
) -> Verdict:
    """Run a study to its verdict, or resume it where it stopped.

    Args:
        storage: SQLAlchemy URL of the study database.
        inline: train in this process, without workers.
        cluster: the Ray cluster to train on; None trains on this machine.
        n_seeds: fresh seeds, in all, up to which open questions are followed, whatever file and budget say.
        on_event: called with everything that happens, in this process: messages, progress, trials, how far the study
            is, the verdict; `mapsearch.open_logger` gives ready ones.

    Raises:
        MapsearchError: the study cannot be run as it is set up (exit code 2), or failed (exit code 1).
        KeyboardInterrupt: Ctrl-C, or `Store.request_stop`; everything finished is saved, and the same call resumes.
    """
    return verdict_of(run(spec, storage, inline=inline, cluster=cluster, n_seeds=n_seeds), on_event)


def run(
    spec: StudySpec,
    storage: str,
    study_file: str = "",
    *,
    inline: bool = False,
    cluster: RayCluster | None = None,
    n_seeds: int | None = None,
    old_study: str | None = None,
    is_stored: bool = False,
    lease_seconds: float = LEASE_SECONDS,
) -> Iterator[Update]:
    """`run_study` as an iterator of what happens.

    Args:
        study_file: the text of the study file, kept with the study.
        old_study: the name of one in the same database whose findings this one begins with, as far as they hold.
        is_stored: the study is one of the database; one that was renamed or deleted meanwhile is not made again.
        lease_seconds: how long others wait before they take over from a process whose death they cannot see.
    """
    with Store.open(storage, create_more=create_tables) as store:
        old = None if old_study is None else read_old(store, old_study, spec.name)
        if not is_stored:
            store.create_study(
                spec.name, spec.to_json(), folder=str(spec.folder), study_file=study_file, port_of=old_study
            )
        yield from announce_wait(store, spec.name, lease_seconds)
        with store.control(spec.name, lease_seconds=lease_seconds) as study:
            spec, old = take_spec(study, spec, study_file), old or expected_old(store, study)
            yield from conduct(study, spec, storage, inline=inline, cluster=cluster, n_seeds=n_seeds, old=old)


def take_spec(study: StudyHandle, spec: StudySpec, study_file: str) -> StudySpec:
    """Let the study be what its file says now, and give that with the metric that follows its outputs.

    Raises:
        StudyChanged: it would become another study.
    """
    known = study.facts()
    spec = with_default_metric(spec, known.outputs) if known.is_checked else spec
    study.update_spec(spec.to_json(), folder=str(spec.folder), study_file=study_file)
    return spec


def conduct(
    study: StudyHandle,
    spec: StudySpec,
    storage: str,
    *,
    inline: bool = False,
    cluster: RayCluster | None = None,
    n_seeds: int | None = None,
    old: OldStudy | None = None,
) -> Iterator[Update]:
    """The loop of a study that this process controls, from wherever it stands to its verdict."""
    cache_dir = cache_folder(storage, spec.name)
    spool = Spool(spool_file(storage, study.id))
    outages = Outages(study, spool, spec.execution.database_seconds)
    with Interrupt() as interrupt, recorded_end(study), no_exit("the study"):
        with interrupt.at_once():  # a check that is cut off is made again
            yield from outages.write_kept()
            begin = partial(_begin, study, spec, cache_dir, old, n_seeds, inline=inline)
            spec, facts, loaded = yield from outages.outlast(begin)
        assert facts.similarity is not None, "checked and compared"
        space = RecipeSpace(facts.layers["student"], facts.layers["teacher"])
        setup = Setup(
            spec.task_reference(cache_dir), spec.train, spec.execution, spec.execution.first_device, space,
            facts.outputs,
        )  # fmt: skip
        scheduler = Scheduler(_executor(setup, loaded, cluster), spec.execution)
        with closing(scheduler):
            context = StudyContext(study, spec, space, facts.similarity, facts.outputs, scheduler, interrupt, spool)
            yield from outages.outlast(lambda: _stages(context), context.keep_all)


def _begin(
    study: StudyHandle, spec: StudySpec, cache_dir: Path, old: OldStudy | None, n_seeds: int | None, *, inline: bool
) -> Generator[Update, None, tuple[StudySpec, StudyFacts, LoadedTask | None]]:
    """The study with the metric that follows its outputs, what is known of it, and its task if it is trained here."""
    loaded = yield from prepare(study, spec, cache_dir, inline=inline)
    spec = with_default_metric(spec, study.facts().outputs)
    if n_seeds is not None or study.state() != "complete":  # it stays so if nothing is missing
        study.set_state("running")
    if old is not None:
        yield from take_over(study, spec, old)
    if n_seeds is not None:
        study.record_facts(replace(study.facts(), extended_to=n_seeds))
    return spec, study.facts(), loaded


def _executor(setup: Setup, loaded: LoadedTask | None, cluster: RayCluster | None) -> Executor:
    """Where students are trained: in this process where it holds the loaded task, else on workers of their own."""
    if loaded is not None:
        loaded.task.output_form = setup.outputs
        return InlineExecutor(Session(loaded, setup.space, setup.train, setup.execution.cache_bytes))
    return LocalExecutor(setup) if cluster is None else RayExecutor(setup, cluster)


def _stages(context: StudyContext) -> Generator[Update, None, None]:
    yield Message("tune", stage_text("tune"))
    plain = yield from stages.tune(context)
    yield Message("noise", stage_text("noise"))
    noise = yield from stages.noise(context, plain)
    if noise is not None and noise.blind:
        yield Message("search", "skipped: all runs of the first rung end with the same value, nothing to learn from")
    elif noise is not None and noise.flat and context.spec.search.when_flat == "stop":
        yield Message("search", "skipped: `search.when_flat: stop` is set and mappings do not differ beyond seed noise")
    else:
        yield Message("search", stage_text("search"))
        base = base_recipe(plain, context.spec.space.share_of)
        yield from run_again(context, base)
        yield from try_proposals(shortened_search(context), base)
    yield Message("shortlist", stage_text("shortlist"))
    nominee = yield from stages.shortlist(context)
    yield Message("confirm", stage_text("confirm"))
    yield from freeze_margin(context)
    nominee = yield from admit(context, nominee)
    yield from confirm(context, nominee)
    yield give_verdict(context, nominee, noise)
