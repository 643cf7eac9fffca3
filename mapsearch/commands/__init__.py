"""FACE: what several commands share, and the commands that are too long for `cli.py`."""
