"""THE LOOP: a study from its file to its verdict.

A study file is loaded, its networks are checked and compared, recipes are proposed, students are
distilled, runs are stored; the best is confirmed and judged. Every stage first looks at what the
database already holds and does the rest, so that the same command resumes after any end.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from mapsearch.controller import stages
from mapsearch.controller.confirmation import confirm, freeze_margin
from mapsearch.controller.context import StudyContext, Update
from mapsearch.controller.ending import recorded_end
from mapsearch.controller.interrupt import Interrupt
from mapsearch.controller.judgement import give_verdict
from mapsearch.controller.preparation import prepare
from mapsearch.controller.proposals import try_proposals
from mapsearch.core.default_metric import with_default_metric
from mapsearch.core.events import Message
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.studies import DEFAULT_STORAGE
from mapsearch.core.verdict import Verdict
from mapsearch.executors.base import Executor, Setup
from mapsearch.executors.inline import InlineExecutor
from mapsearch.executors.local import LocalExecutor
from mapsearch.executors.scheduler import Scheduler
from mapsearch.executors.session import Session
from mapsearch.proposers.sampler import create_tables
from mapsearch.search import base_recipe
from mapsearch.store.handle import StudyHandle
from mapsearch.store.store import LEASE_SECONDS, Store
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import cache_folder
from mapsearch.tasks.user_code import no_exit


def run_study(
    spec: StudySpec, storage: str = DEFAULT_STORAGE, *, inline: bool = False, n_seeds: int | None = None
) -> Verdict:
    """Run a study to its verdict, or resume it where it stopped.

    Args:
        storage: SQLAlchemy URL of the study database.
        inline: train in this process, without workers.
        n_seeds: fresh seeds, in all, up to which open questions are followed, whatever file and budget say.

    Raises:
        MapsearchError: the study cannot be run as it is set up (exit code 2), or failed (exit code 1).
        KeyboardInterrupt: Ctrl-C, or `Store.request_stop`; everything finished is saved, and the same call resumes.
    """
    verdict = None
    for update in run(spec, storage, inline=inline, n_seeds=n_seeds):
        verdict = update if isinstance(update, Verdict) else verdict
    assert verdict is not None
    return verdict


def run(
    spec: StudySpec,
    storage: str,
    study_file: str = "",
    *,
    inline: bool = False,
    n_seeds: int | None = None,
    lease_seconds: float = LEASE_SECONDS,
) -> Iterator[Update]:
    """`run_study` as an iterator of what happens.

    Args:
        study_file: the text of the study file, kept with the study.
        lease_seconds: how long others wait before they take over from a process whose death they cannot see.
    """
    cache_dir = cache_folder(storage, spec.name)
    with Store.open(storage, create_more=create_tables) as store:
        store.create_study(spec.name, spec.to_json(), folder=str(spec.folder), study_file=study_file)
        with store.control(spec.name, lease_seconds=lease_seconds) as study:
            known = study.facts()
            spec = with_default_metric(spec, known.outputs) if known.is_checked else spec
            study.update_spec(spec.to_json(), folder=str(spec.folder), study_file=study_file)
            with recorded_end(study), no_exit("the study"):
                loaded = yield from prepare(study, spec, cache_dir, inline=inline)
                spec = with_default_metric(spec, study.facts().outputs)
                if study.study().state != "complete":  # it stays so if nothing is missing
                    study.set_state("running")
                if n_seeds is not None:
                    study.record_facts(replace(study.facts(), extended_to=n_seeds))
                with _open_context(study, spec, cache_dir, loaded) as context:
                    yield from _stages(context)


@contextmanager
def _open_context(
    study: StudyHandle, spec: StudySpec, cache_dir: Path, loaded: LoadedTask | None
) -> Iterator[StudyContext]:
    facts = study.facts()
    assert facts.similarity is not None, "already checked and compared"
    space = RecipeSpace(facts.layers["student"], facts.layers["teacher"])
    executor: Executor
    if loaded is not None:
        loaded.task.output_form = facts.outputs
        executor = InlineExecutor(Session(loaded, space, spec.train, spec.execution.cache_bytes))
    else:
        device = spec.execution.first_device
        setup = Setup(spec.task_reference(cache_dir), spec.train, spec.execution, device, space, facts.outputs)
        executor = LocalExecutor(setup)
    scheduler = Scheduler(executor, spec.execution)
    with Interrupt() as interrupt, closing(scheduler):
        yield StudyContext(study, spec, space, facts.similarity, facts.outputs, scheduler, interrupt)


def _stages(context: StudyContext) -> Iterator[Update]:
    plain = yield from stages.tune(context)
    noise = yield from stages.noise(context, plain)
    if noise is not None and noise.blind:
        yield Message("search", "skipped: all runs of the first rung end with the same value, nothing to learn from")
    elif noise is not None and noise.flat and context.spec.search.when_flat == "stop":
        yield Message("search", "skipped: `search.when_flat: stop` is set and mappings do not differ beyond seed noise")
    else:
        yield from try_proposals(context, base_recipe(plain, context.spec.space.share_of))
    nominee = yield from stages.shortlist(context)
    yield from freeze_margin(context)
    yield from confirm(context, nominee)
    yield give_verdict(context, nominee, noise)
