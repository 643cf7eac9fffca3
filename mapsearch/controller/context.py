"""What every stage of a study works with."""

from dataclasses import dataclass

from mapsearch.controller.interrupt import Interrupt
from mapsearch.core.events import Message, Progress
from mapsearch.core.outputs import Outputs
from mapsearch.core.runs import Run
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict
from mapsearch.executors.scheduler import Scheduler
from mapsearch.store.handle import StudyHandle

Update = Message | Progress | Trial | Verdict
"""What the loop tells whoever iterates it."""


@dataclass(frozen=True)
class StudyContext:
    """The study with its one writer, and the workers that train for it."""

    study: StudyHandle
    spec: StudySpec
    space: RecipeSpace
    similarity: Similarity
    outputs: Outputs
    scheduler: Scheduler
    interrupt: Interrupt

    @property
    def trials(self) -> list[Trial]:
        """All trials of the study, by number."""
        return self.study.trials()

    @property
    def runs(self) -> list[Run]:
        """All runs of the study, done or not."""
        return self.study.runs()

    def raise_if_stopped(self) -> None:
        """Raise KeyboardInterrupt if a signal has come, or if somebody asked the study to stop."""
        self.interrupt.raise_if_asked()
        if self.study.stop_requested:
            raise KeyboardInterrupt
