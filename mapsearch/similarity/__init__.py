"""STEP: two networks and batches -> the similarity of their layers, in one pass over both."""

from mapsearch.similarity.measure import compare, measure_layers, measure_similarity

__all__ = ["compare", "measure_layers", "measure_similarity"]
