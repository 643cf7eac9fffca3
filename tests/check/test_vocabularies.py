import pytest
from findings import codes, message
from small_tasks import ResidualConvNet
from torch import nn

from mapsearch.check import check
from mapsearch.check.finding_log import FindingLog
from mapsearch.check.vocabularies import check_vocabularies
from mapsearch.core.errors import TaskError
from mapsearch.tasks.task import Task

VOCABULARY = {"the": 0, "a": 1, "cat": 2, "dog": 3, "sat": 4}


class Tokenizer:
    def __init__(self, **vocabulary):
        self.vocabulary = vocabulary

    def get_vocab(self):
        return self.vocabulary


class Words(Task):
    """A task of which only the tokenizers are asked for."""

    teacher = student = train_data = valid_data = None

    def __init__(self, *given):
        self.given = given or None

    def tokenizers(self):
        return self.given


def finding(task, student, teacher):
    log = FindingLog()
    check_vocabularies(log, task, (8, 16, student), (8, 16, teacher))
    (found,) = log.findings
    return found.level, found.code, found.message


@pytest.mark.parametrize(("student", "teacher"), [(151936, 152064), (152064, 151936), (50304, 50257), (30522, 30528)])
def test_padded_vocabularies_are_told_to_be_trimmed(student, teacher):
    level, code, said = finding(Words(), student, teacher)
    assert (level, code) == ("ok", "outputs.padded_vocabulary")
    assert f"student [8, 16, {student}], teacher [8, 16, {teacher}]" in said
    assert f"the last {abs(student - teacher)} of {max(student, teacher)}" in said


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        (10, 11),  # one more class
        (1000, 1001),  # ImageNet with a background class in front: all classes are shifted
        (32000, 32001),  # a token more, as no padding makes it
        (30522, 50304),
    ],
)
def test_widths_that_padding_cannot_explain_are_refused(student, teacher):
    level, code, said = finding(Words(), student, teacher)
    assert (level, code) == ("error", "outputs.shape")
    assert f"student [8, 16, {student}], teacher [8, 16, {teacher}]" in said
    assert "Task.tokenizers()" in said


def test_equal_widths_are_ok():
    level, code, said = finding(Words(), 10, 10)
    assert (level, code) == ("ok", "outputs.same_shape")
    assert "[8, 16, 10]" in said


def test_one_vocabulary_may_have_tokens_more():
    task = Words(Tokenizer(**VOCABULARY, pad=5), Tokenizer(**VOCABULARY))
    assert finding(task, 32000, 32001)[0] == "ok"
    level, code, said = finding(task, 32000, 33001)
    assert (level, code) == ("error", "outputs.shape")
    assert "`Task.outputs(output)`" in said
    assert "Task.tokenizers()" not in said


def test_other_tokenizers_are_refused_with_the_first_ids_that_differ():
    other = {"the": 0, "cat": 1, "a": 2, "sat": 3, "dog": 4, "mat": 5}
    level, code, said = finding(Words(Tokenizer(**VOCABULARY), Tokenizer(**other)), 64, 64)
    assert (level, code) == ("error", "outputs.tokenizers_differ")
    assert "1: student 'cat', teacher 'a'; 2: student 'a', teacher 'cat'; 3: student 'sat', teacher 'dog'" in said
    assert "1 more" in said


def test_tokenizers_without_a_vocabulary_are_refused():
    with pytest.raises(TaskError, match=r"`get_vocab\(\)`.*got str"):
        finding(Words("bert", "bert"), 64, 64)


def test_check_asks_the_task(text, vision, study):
    tokenizers = Tokenizer(a=0, b=1), Tokenizer(a=1, b=0)
    report = check(text(tokenizers=lambda self: tokenizers), study())
    assert "0: student 'b', teacher 'a'" in message(report, "outputs.tokenizers_differ")

    class Padded(ResidualConvNet):
        def __init__(self, width, depth, n_classes):
            super().__init__(width, depth)
            self.head = nn.Linear(width, n_classes)

    parts = {"teacher": lambda: Padded(8, 4, 128), "student": lambda: Padded(4, 2, 127)}
    report = check(vision(**parts), study(space={"loss": ["nmse"]}))
    assert not any(code.startswith("outputs.") for code in codes(report, "error"))
    assert "the last 1 of 128" in message(report, "outputs.padded_vocabulary")
    assert "outputs and 2 feature terms" in message(report, "gradients.alive")
