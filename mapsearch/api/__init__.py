"""One function per question or action that a face asks: Python, the command line and the service call the same."""
