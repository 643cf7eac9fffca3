"""Layer similarity against the public packages: time, error, bias and memory."""
