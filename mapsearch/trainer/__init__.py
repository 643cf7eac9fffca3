"""STEP: a recipe and a task -> the trained student. One student, by the very step that `distill` runs."""

from mapsearch.trainer.run import TrainedStudent, train_student

__all__ = ["TrainedStudent", "train_student"]
