"""STEP: run plans -> runs. Trains a cohort of students on the same batches and yields how it goes."""

from mapsearch.distill.cohort import distill, train_cohort
from mapsearch.distill.station import Station, open_station
from mapsearch.distill.too_large import TooLarge, slices

__all__ = ["Station", "TooLarge", "distill", "open_station", "slices", "train_cohort"]
