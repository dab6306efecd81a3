"""What the rules ask for, and what stands beside a run."""
