"""The HTTP service: shows what the database holds and starts `mapsearch run`; never trains, never imports torch."""
