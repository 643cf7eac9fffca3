"""How alike two sets of features are."""
