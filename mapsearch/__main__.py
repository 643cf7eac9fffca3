"""`python -m mapsearch` is the command line."""

from mapsearch.cli import main

main()
