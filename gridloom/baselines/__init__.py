"""Baselines: simple scikit-learn models, fitted on the rows of the networks."""
