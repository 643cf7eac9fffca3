from mapsearch.core.events import Message, Progress, Standing
from mapsearch.core.recipe import Recipe
from mapsearch.core.trained import TrainReport, Validation
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Question, Verdict
from mapsearch.loggers.logger import Logger


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self):
        self.logged, self.closed = [], False

    def numbers(self, axis, step, values):
        self.logged.append((axis, step, values))

    def text(self, name, text):
        self.logged.append((name, text))

    def close(self):
        self.closed = True


def test_each_event_becomes_what_it_holds():
    best = Trial(7, "curve", Recipe(), value=0.75, state="complete")
    asked = Question("none", outcome="BEATS", difference=0.1, low=0.05, high=0.15, n_seeds=6)
    with Logger(kept := Kept()) as log:
        log(Message("search", "begins"))
        log(Standing(3, 10, 1.5, 60.0, best))
        log(Trial(1, "control", Recipe(), "none", value=0.5, state="complete"))
        log(Trial(2, "curve", Recipe()))
        log(Trial(3, "tune", Recipe(), value=0.25, state="complete"))
        log(best)
        log(Verdict("use it", 7, 7, None, (), questions=(asked, Question("outputs", asked=False, why_not="lost"))))
    assert kept.closed
    assert kept.logged == [
        ("messages", "search: begins"),
        ("runs", 3, {"study/full_runs": 1.5, "study/best": 0.75}),
        ("trial", 1, {"controls/none": 0.5}),
        ("trial", 3, {"tune/value": 0.25}),
        ("trial", 7, {"trials/value": 0.75}),
        ("verdict", "use it"),
        (
            "seeds", 6,
            {"verdict/against_none": 0.1, "verdict/against_none_low": 0.05, "verdict/against_none_high": 0.15},
        ),
    ]  # fmt: skip


def test_a_training_tells_its_terms_and_what_was_measured_and_a_run_of_a_study_does_not():
    measured = {"valid": {"accuracy": 0.75}, "test": {"accuracy": 0.625, "ratio": None}}
    with Logger(kept := Kept()) as log:
        log(Progress((7, 2, 1), 1, 10, 20, 1.5))
        log(Progress((7, 2, 1), 1, 10, 20, 1.5, {"task": 1.0, "1.0 <- 1.1": 0.5}))
        log(Validation(10, {"accuracy": 0.5, "ratio": None}))
        log(object())  # the student itself
        log(TrainReport({}, "accuracy", 20, measured, {"test": {"accuracy": 0.875}}, 2.0, (), (), 1.0))
    assert kept.logged == [
        ("steps", 10, {"train/loss": 1.5, "train/task": 1.0, "train/1.0 <- 1.1": 0.5}),
        ("steps", 10, {"valid/accuracy": 0.5}),
        ("steps", 20, {"final/valid/accuracy": 0.75, "final/test/accuracy": 0.625, "teacher/test/accuracy": 0.875}),
    ]
