"""How plain data looks in a notebook: HTML, pictures, data frames. Knows no nouns; `core/` asks it for theirs."""
