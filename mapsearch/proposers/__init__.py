"""Where recipes come from: pure functions of the space, the similarity, finished trials and a seed."""
