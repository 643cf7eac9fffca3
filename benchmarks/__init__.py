"""Benchmarks: `python -m benchmarks.NAME` from the repository's root; see README.md beside this file."""
