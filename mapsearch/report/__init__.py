"""STEP: nouns -> what people and machines read: JSON, CSV, tables, sentences, pictures.

Nothing here imports torch; rich, scipy and matplotlib are imported with the files that use them, and no command
imports what it does not print.
"""
