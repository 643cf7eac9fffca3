"""The layers of a network and their outputs."""
