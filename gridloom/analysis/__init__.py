"""Analysis: from records to tables."""
