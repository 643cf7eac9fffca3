"""Losses between features and outputs, the projectors they need, and their weighted sum."""
