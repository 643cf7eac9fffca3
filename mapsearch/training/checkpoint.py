"""All that a student's training needs to go on from a step as if it had never stopped.

There are no states of random generators: every step seeds all of them from the run's seed and its own number.
"""

from typing import Any

from mapsearch.training.student import StudentTraining

PLAIN = ("terms", "curve", "term_curve", "gradient_shares", "first_loss", "seconds", "overwritten")
"""Fields of a `StudentTraining` that are plain data."""


def training_state(training: StudentTraining) -> dict[str, Any]:
    """Whole tensors and plain data, which `torch.load` reads safely. Every process calls it."""
    state = {
        "student": training.student.state_dict(),
        "loss": training.loss.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "average": None if training.average is None else training.average.state_dict(),
        "recent": training.recent,
        **{name: getattr(training, name) for name in PLAIN},
    }
    return dict(training.processes.whole(state))


def restore_training(training: StudentTraining, state: dict[str, Any]) -> None:
    """Take over a state that `training_state` gave; the student's features are still to be captured."""
    training.processes.load(training.student, state["student"])
    training.loss.load_state_dict(state["loss"])
    training.processes.load(training.optimizer, state["optimizer"])
    if training.average is not None:
        training.average.load_state_dict(state["average"])
    training.recent[:] = state["recent"]
    for name in PLAIN:
        setattr(training, name, state.get(name, getattr(training, name)))  # older checkpoints have fewer
