"""A study as a page: the geometry of its charts and the words of its decision in Python, all markup in templates."""
