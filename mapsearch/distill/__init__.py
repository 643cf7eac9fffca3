"""STEP: run plans -> runs. Trains a cohort of students on the same batches and yields how it goes."""

from mapsearch.distill.cohort import distill, train_cohort
from mapsearch.distill.splitting import CohortSplit, slices
from mapsearch.distill.worker_state import WorkerState, open_worker_state

__all__ = ["CohortSplit", "WorkerState", "distill", "open_worker_state", "slices", "train_cohort"]
