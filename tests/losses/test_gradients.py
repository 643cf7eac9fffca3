import pytest
import torch
from torch import nn

from mapsearch.core.errors import CheckFailed
from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.losses.gradients import TermGradient, check_optimizer, dead_terms, shares, term_gradients
from mapsearch.losses.recipe_loss import RecipeLoss

STUDENT = (Layer("s.0", "Linear", "vector", (4,), 1), Layer("s.1", "Linear", "vector", (4,), 1))
TEACHER = (Layer("t.0", "Linear", "vector", (4,), 1),)
RECIPE = Recipe(LayerMapping((Pair("s.0", "t.0", 1.0), Pair("s.1", "t.0", 1.0))), feature_share=0.5, output_weight=1.0)


def terms_of(detached=False):
    """A student `s.0 -> s.1` and the terms of its loss on one batch."""
    torch.manual_seed(0)
    student, loss = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), RecipeLoss(RECIPE, STUDENT, TEACHER)
    first = student[0](torch.randn(8, 4))
    last = student[1](first)
    features = {"s.0": first.detach() if detached else first, "s.1": last}
    terms = loss.terms(last.square().mean(), last, torch.randn(8, 4), features, {"t.0": torch.randn(8, 4)})
    return student, loss, terms


def test_gradients_of_single_terms_add_up_to_the_gradient_of_the_sum():
    student, loss, terms = terms_of()
    gradients = term_gradients(terms, student, loss)
    assert list(gradients) == ["task", "outputs", "s.0 <- t.0", "s.1 <- t.0"]
    for name, term in terms.items():
        student.zero_grad(), loss.zero_grad()
        term.backward(retain_graph=True)  # the graph is still there
        squares = [p.grad.square().sum() for p in student.parameters() if p.grad is not None]
        assert gradients[name].student == pytest.approx(float(sum(squares).sqrt()), rel=1e-5)
    assert gradients["task"].projector is None
    assert gradients["s.0 <- t.0"].projector > 0


def test_shares_are_parts_of_all_terms():
    student, loss, terms = terms_of()
    gradients = term_gradients(terms, student, loss)
    found = shares(gradients, loss)
    total = sum(g.student for g in gradients.values())
    rest = (gradients["task"].student + gradients["outputs"].student) / total
    assert len(found) == 2
    assert sum(found) + rest == pytest.approx(1)
    assert shares({name: TermGradient(0.0, None) for name in terms}, loss) == (0.0, 0.0)


def test_a_living_loss_has_no_dead_terms():
    student, loss, terms = terms_of()
    assert dead_terms(term_gradients(terms, student, loss), loss) == []


def test_a_detached_feature_is_a_dead_term_though_its_projector_learns():
    student, loss, terms = terms_of(detached=True)
    (problem,) = dead_terms(term_gradients(terms, student, loss), loss)
    assert "`s.0 <- t.0`" in problem
    assert "gradient to the student" in problem


@pytest.mark.parametrize("norm", [0.0, float("nan"), float("inf")])
def test_a_projector_without_a_finite_gradient_is_told(norm):
    _, loss, _ = terms_of()
    (problem,) = dead_terms({"s.1 <- t.0": TermGradient(1.0, norm)}, loss)
    assert "gradient to its projector" in problem
    assert f"{norm:g}" in problem


def test_projectors_must_be_in_the_optimizer():
    student, loss, _ = terms_of()
    check_optimizer(loss, torch.optim.SGD([*student.parameters(), *loss.parameters()], lr=0.1))
    with pytest.raises(CheckFailed, match=r" 4 .*`projectors\.0\.projection\.weight`"):
        check_optimizer(loss, torch.optim.SGD(student.parameters(), lr=0.1))
