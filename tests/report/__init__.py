"""Promises of the report."""
