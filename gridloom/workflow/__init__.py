"""What the rules ask for, and commands that look at a study without a run."""
