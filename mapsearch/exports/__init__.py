"""STEP: study -> a file for the trainer people use, one module per target, and proof that the loss is the same."""
