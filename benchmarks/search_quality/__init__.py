"""How far from the best recipe a search ends, by proposer and landscape."""
