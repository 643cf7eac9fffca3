"""What the user brings, and how it is loaded and measured."""
