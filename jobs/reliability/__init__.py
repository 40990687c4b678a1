"""How much of the time in jobs advanced trainings, what ended it, and how often to checkpoint."""
