"""STEP: two networks and batches -> the similarity of their layers, in one pass over both."""
