"""The errors a user can cause, grouped by what has to be changed; they hold strings only.

MapsearchError            exit code 2
|- SpecError              the study file
|- TaskError              the user's task class or its data
|- LayerNotFound          a layer name or glob
|- MappingError           a mapping or recipe that breaks a rule
|- CheckFailed            the networks, tried on a real batch
|- SimilarityError        a similarity file, or two similarities that cannot be compared
|- StoreError             the database
|  |- NoDatabase          there is none yet
|  |- DatabaseFailed      exit code 1: it failed or vanished while it was in use
|  |  |- DatabaseAway     out of reach, locked, full or read-only: it may come back
|  |  |- DatabaseCorrupt  its pages are damaged: no waiting helps
|  |  |- DatabaseReplaced its file was deleted or replaced
|  |  `- DatabaseChanged  somebody wrote to the file while it was read: reading it again helps
|  |- StudyNotFound
|  |- StartWithdrawn       the service was to start the study, and no longer is
|  |- StudyChanged        a different study file under the name of an existing study
|  `- StudyBusy           another process controls the study
|- ExportError            the target, the trial or the output file
|  |- FrameworkMissing     the framework that runs the file is not installed
|  `- WrongExport          the file was run and does not give the trial's loss
|- TrainingNotFound       a final training of the service, or one of its files
|- TrainingBusy           such a training, which runs or has ended
|- TrainingChanged        a folder that holds another training than the one asked for
|- TrainingFailed         exit code 1: a final training could not be finished, or not be written
`- StudyFailed            exit code 1: the study itself failed
"""

from collections.abc import Sequence
from difflib import get_close_matches

from mapsearch.core.text import printable


class MapsearchError(Exception):
    """Something the user can fix. Each problem is one line, whatever names it quotes."""

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__(*map(printable, problems))  # as `args`, so that a worker's error comes through pickle whole

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, one line each."""
        return self.args

    def __str__(self) -> str:
        """All problems, a line each."""
        return "\n".join(self.problems)


class SpecError(MapsearchError):
    """The study file breaks its schema; every problem carries its dotted path."""


class TaskError(MapsearchError):
    """The user's task cannot be loaded, or yields data of the wrong form."""


class LayerNotFound(MapsearchError):
    """No usable layer has that name."""


class MappingError(MapsearchError):
    """A mapping or recipe breaks a rule that `RecipeSpace` or `LayerMapping` states."""


class CheckFailed(MapsearchError):
    """The preflight found the networks unable to learn from each other."""


class SimilarityError(MapsearchError):
    """A similarity file cannot be read, or two similarities have different layers."""


class StoreError(MapsearchError):
    """The study database cannot be used as asked."""


class NoDatabase(StoreError):
    """There is no study database at that URL."""


class DatabaseFailed(StoreError):
    """The study database failed or vanished while it was in use."""

    exit_code = 1


class DatabaseAway(DatabaseFailed):
    """The study database cannot be used now, and may come back: it is out of reach, locked, full or read-only."""

    WAY_OUT = "; once it can be used, run the command again"

    @property
    def what(self) -> str:
        """What is wrong, without what to do about it."""
        return self.problems[0].removesuffix(self.WAY_OUT)


class DatabaseCorrupt(DatabaseFailed):
    """The study database is damaged, and waiting does not mend it."""


class DatabaseReplaced(DatabaseFailed):
    """The file of the study database was deleted or replaced while it was in use."""


class DatabaseChanged(DatabaseFailed):
    """Somebody wrote to the file of the study database while it was read."""


class StudyNotFound(StoreError):
    """No study of that name."""


class StartWithdrawn(StoreError):
    """Nobody asks any longer for the study to be started."""


class StudyChanged(StoreError):
    """The study exists with different settings."""


class StudyBusy(StoreError):
    """Another process holds the study's lease."""


class ExportError(MapsearchError):
    """The export cannot be written, or the written file does not compute the same loss."""


class FrameworkMissing(ExportError):
    """The framework that runs a target's files is not installed here."""


class WrongExport(ExportError):
    """The file itself is at fault: it cannot be run, or gives another loss than its recipe."""


class StudyFailed(MapsearchError):
    """The study was set up correctly and still could not be finished."""

    exit_code = 1


class TrainingNotFound(MapsearchError):
    """The service has no final training of that id, or that has no file of that name."""


class TrainingBusy(MapsearchError):
    """The service's final training runs, or has ended, and cannot be changed so."""


class TrainingChanged(MapsearchError):
    """The folder of a final training holds another one."""


class TrainingFailed(MapsearchError):
    """The training of the final student could not be finished, or its files not be written."""

    exit_code = 1


MEMORY_RAN_OUT = (
    "memory ran out: end other programs, or lower `execution.workers` or `train.batch_size`, then run the command again"
)
"""What is told where memory runs out outside of training."""


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """`; did you mean …?` for the closest known names, or the empty string."""
    matches = get_close_matches(name, known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(f'`{match}`' for match in matches)}?" if matches else ""
