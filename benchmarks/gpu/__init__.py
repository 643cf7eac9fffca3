"""What only a GPU shows, measured in one go of at most eight minutes."""
