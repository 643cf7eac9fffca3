"""Checks that the last axis of both networks' logits means the same: one set of classes, one vocabulary."""

from collections.abc import Mapping, Sequence

from mapsearch.check.finding_log import FindingLog
from mapsearch.core.errors import TaskError
from mapsearch.tasks.task import Task
from mapsearch.tasks.user_code import user_code

PADDING_MULTIPLE = 64
"""Vocabularies are padded to multiples of this, for the sake of the hardware (151936, 152064, 50304, 30528)."""

MAX_PADDING_SHARE = 0.01
"""Padding adds some hundreds to tens of thousands of tokens; of few classes even one more is a class."""

N_SHOWN_TOKENS = 3


def check_vocabularies(log: FindingLog, task: Task, student: Sequence[int], teacher: Sequence[int]) -> None:
    """Compare the tokenizers where the task has them, and refuse widths that padding cannot explain.

    Args:
        student: shape of the student's logits, `[..., C]`.
    """
    with user_code("`tokenizers()`"):
        tokenizers = task.tokenizers()
    if tokenizers is not None and not _is_one_vocabulary(log, tokenizers):
        return
    small, large = sorted((student[-1], teacher[-1]))
    padded = large - small < MAX_PADDING_SHARE * large and (tokenizers is not None or large % PADDING_MULTIPLE == 0)
    if small == large:
        log.add("ok", "outputs.same_shape", f"{list(student)} from both networks")
    elif padded:
        shapes = f"student {list(student)}, teacher {list(teacher)}: one vocabulary padded to two widths"
        left_out = f"the last {large - small} of {large} are left out of the output loss"
        log.add("ok", "outputs.padded_vocabulary", f"{shapes}; {left_out}")
    else:
        shapes = f"student {list(student)}, teacher {list(teacher)}"
        way_out = "select classes in `Task.outputs(output)`"
        if tokenizers is None:
            way_out += ", or show by `Task.tokenizers()` that the vocabularies are the same"
        log.add("error", "outputs.shape", f"must have one shape, but got {shapes}; {way_out}")


def _is_one_vocabulary(log: FindingLog, tokenizers: Sequence[object]) -> bool:
    """Whether every id that both tokenizers know is the same token."""
    teacher, student = map(_tokens, tokenizers)
    differing = [i for i in sorted(teacher.keys() & student.keys()) if teacher[i] != student[i]]
    if not differing:
        return True
    first = "; ".join(f"{i}: student {student[i]!r}, teacher {teacher[i]!r}" for i in differing[:N_SHOWN_TOKENS])
    more = f" and {len(differing) - N_SHOWN_TOKENS:,} more" if len(differing) > N_SHOWN_TOKENS else ""
    problem = f"the tokenizers differ at id {first}{more}"
    log.add("error", "outputs.tokenizers_differ", f"{problem}; teacher and student must read and write one vocabulary")
    return False


def _tokens(tokenizer: object) -> dict[int, str]:
    vocabulary = tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else None
    if not isinstance(vocabulary, Mapping):
        given = type(tokenizer).__name__
        raise TaskError(f"`tokenizers()` must return two objects with `get_vocab()`, teacher first, but got {given}")
    return {index: token for token, index in vocabulary.items()}
