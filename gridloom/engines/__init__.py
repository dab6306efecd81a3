"""Engines, which fit trainings."""
