"""The study database. Nouns go in, nouns come out; no row and no SQL leaves this room."""
