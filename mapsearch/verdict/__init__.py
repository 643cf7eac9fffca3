"""STEP: confirmed runs -> Verdict, and how large seed noise is. Pure functions."""
