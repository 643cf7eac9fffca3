"""Layers of a network and what they put out."""
