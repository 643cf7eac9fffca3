"""Weights & Biases: a run of the project `mapsearch`; `WANDB_MODE=offline` writes it to the folder alone."""

from pathlib import Path

import wandb


class WeightsAndBiases:
    """A run named as the study or training; whether it is sent anywhere is for `wandb` and its environment to say."""

    def __init__(self, study: str, folder: Path | None = None) -> None:
        self._run = wandb.init(project="mapsearch", name=study, dir=folder)
        for axis, names in {
            "trial": ("tune/*", "trials/*", "controls/*"),
            "runs": ("study/*",),
            "seeds": ("verdict/*",),
            "steps": ("train/*", "valid/*", "final/*", "teacher/*"),
        }.items():
            self._run.define_metric(axis)
            for name in names:
                self._run.define_metric(name, step_metric=axis)

    def numbers(self, axis: str, step: int, values: dict[str, float]) -> None:
        """Log numbers by name at that step."""
        self._run.log({axis: step, **values})

    def text(self, name: str, text: str) -> None:
        """The verdict becomes part of the run's summary; messages are lines of its output already."""
        if name == "verdict":
            self._run.summary[name] = text

    def close(self) -> None:
        """Write out what is left."""
        self._run.finish()
