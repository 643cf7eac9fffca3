"""THE LOOP: the only place that sees steps, store and executor together."""
