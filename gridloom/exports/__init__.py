"""Exports: a finished study in the files of other programs."""
