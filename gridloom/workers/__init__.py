"""Workers: how a job reaches a warm process."""
