"""How far a study is, counted as its runs end, so that telling it costs the same at every one of them."""

from mapsearch import search
from mapsearch.controller.context import StudyContext
from mapsearch.core.events import Standing
from mapsearch.core.runs import FINISHED, Run
from mapsearch.core.trials import Trial


class StandingCount:
    """Ended runs and what they took, beside the forecast; the best proposal beside the control `outputs`."""

    def __init__(self, context: StudyContext) -> None:
        spec, runs, trials = context.spec, context.runs, context.trials
        forecast = search.forecast_stages(spec, context.outputs)
        ended = [run for run in runs if run.state in FINISHED]
        self._spec = spec
        self._n_done, self._n_steps = len(ended), sum(run.n_steps for run in ended)
        self._n_runs = sum(stage.n_runs for stage in forecast)
        self._n_planned = sum(stage.n_runs * stage.n_steps for stage in forecast)
        self._best = search.incumbent(trials, spec.direction)
        self._outputs = next((t for t in trials if t.control == "outputs"), None)

    def trial_closed(self, trial: Trial) -> None:
        """Take in a trial that got its value."""
        self._best = search.incumbent([t for t in (self._best, trial) if t], self._spec.direction)
        self._outputs = trial if trial.control == "outputs" else self._outputs

    def after(self, run: Run) -> Standing:
        """Take in a run that has ended, and tell how far the study is."""
        self._n_done += 1
        self._n_steps += run.n_steps
        full, planned = self._spec.train.steps, max(self._n_planned, self._n_steps)
        n_runs = max(self._n_runs, self._n_done)
        return Standing(self._n_done, n_runs, self._n_steps / full, planned / full, self._best, self._outputs)
