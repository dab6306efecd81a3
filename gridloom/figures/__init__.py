"""Figures: from tables to pictures."""
