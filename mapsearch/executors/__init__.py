"""Where cohorts run: an executor takes cohorts and yields events, and None now and then while it waits."""
