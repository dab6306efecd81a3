"""The fitted model of a study."""
