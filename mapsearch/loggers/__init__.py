"""STEP: what happens in a study or a final training -> numbers and texts in the tracker that a team looks at."""
