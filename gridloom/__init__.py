"""Gridloom: hyperparameter grid studies of neural networks, as a Snakemake workflow."""
