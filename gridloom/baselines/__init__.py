"""Baselines: simple models of scikit-learn on the rows of the networks."""
