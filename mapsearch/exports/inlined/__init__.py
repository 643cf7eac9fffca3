"""Source that exported files contain: it may use torch, `features/` and `losses/`, but nothing of `core/`."""
