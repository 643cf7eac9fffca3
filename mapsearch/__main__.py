"""`python -m mapsearch` is the command line."""

from mapsearch.cli.main import main

main()
