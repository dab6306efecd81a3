"""Training: from a request to a record."""
