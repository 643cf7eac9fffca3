"""Losses between features and logits, the projectors they need, and their weighted sum."""
