"""STEP: two networks and batches -> the similarity of their layers, in one pass over both."""

from mapsearch.probe.measure import compare, compare_bench, measure_layers

__all__ = ["compare", "compare_bench", "measure_layers"]
