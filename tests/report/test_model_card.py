"""The model card: what is told of a student, whatever its names are."""

import re

import pytest

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.trained import TrainReport, Validation
from mapsearch.core.training_settings import TrainingSettings
from mapsearch.report.model_card import model_card


def report(study="tiny"):
    training = {"study": study, "trial": 3, "recipe": "x", "steps": 300, "seed": 7, "lr": 0.01, "ema": None}
    student = {"valid": {"accuracy": 0.8}, "test": {"accuracy": 0.75, "f1": None}}
    teacher = {"valid": {"accuracy": 0.9}, "test": {"accuracy": 0.85}}
    validations = (Validation(150, {"accuracy": 0.7}), Validation(300, {"accuracy": 0.8}))
    curve = ((10, 2.0), (300, 1.0))
    return TrainReport(
        training, "accuracy", 300, student, teacher, 2.5, curve, validations, 61.4, {"torch": "2.13", "device": ""}
    )


SETTINGS = TrainingSettings(task="task.py:Net", metric="accuracy", direction="maximize", margin=0.01)


def test_it_says_what_was_measured_and_how_it_was_trained():
    card = model_card(report(), Recipe(), SETTINGS, "use outputs", picture="losses.png")
    assert "| `accuracy` | 0.8 | 0.75 | 0.9 | 0.85 |" in card
    assert "| `f1` | - | - | - | - |" in card
    for text in ("`tiny`, trial 3", "Verdict of the study: use outputs.", "0.01", "| seed | `7` |", "losses.png"):
        assert text in card
    assert "ema" not in card
    assert "losses.png" not in model_card(report(), Recipe(), SETTINGS, "use outputs")
    assert "transformers" in model_card(report(), Recipe(), SETTINGS, "", is_hugging_face=True)


@pytest.mark.parametrize("name", ["a|b", "`rm`", "<script>", "\x1b[2Jx", "a\nb", "\u202ex"])
def test_names_cannot_steer_a_reader(name):
    mapping = LayerMapping((Pair(name, name, 1.0),))
    card = model_card(report(name), Recipe(mapping, feature_share=0.5), SETTINGS, "")
    assert card.replace("\n", "").isprintable()
    head = next(line for line in card.splitlines() if line.startswith("# "))
    assert re.fullmatch(r"# Student of `[^`]+`, trial 3", head)
