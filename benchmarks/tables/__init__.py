"""Tables: every mapping of a small space, trained on real pairs of networks, several seeds each."""
