"""The best weights so far, and a course that comes back from its state."""

import torch
from small_tasks import Net

from mapsearch.core.trained import Validation
from mapsearch.trainer.course import Course


def run(values, direction, keep=True):
    course, student = Course(), Net(8, 1)
    for step, value in enumerate(values, 1):
        course.step = step
        with torch.no_grad():
            student.head.bias.fill_(step)
        course.validated(Validation(step, {"x": value}), "x", direction, student.state_dict() if keep else None)
    return course


def test_the_first_of_the_best_is_kept_as_a_copy():
    course = run([1.0, 3.0, 3.0, 2.0], "maximize")
    assert (course.best_step, float(course.best["head.bias"][0])) == (2, 2.0)
    assert run([3.0, 1.0, 2.0], "minimize").best_step == 2
    assert run([1.0, 3.0], "maximize", keep=False).best is None


def test_it_comes_back_from_its_state():
    course = run([1.0, 3.0, 2.0], "maximize")
    again = Course.from_state(course.to_state())
    assert (again.step, again.validations, again.best_step) == (course.step, course.validations, course.best_step)
    assert torch.equal(again.best["head.bias"], course.best["head.bias"])
