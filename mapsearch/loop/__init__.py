"""The inside of `run.py`: the stages of a study, and the training that they all ask for."""
