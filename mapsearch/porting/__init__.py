"""STEP: an old study + new networks -> what of it carries over."""
