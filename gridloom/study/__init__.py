"""The study: what a person may set, read and checked."""
