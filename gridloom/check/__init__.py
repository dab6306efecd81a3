"""The check before trainings: whether a sample of a study's networks can train, and the cost."""
