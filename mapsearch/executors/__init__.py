"""Where cohorts run: one scheduler above the Executor protocol, and the session of a worker."""
