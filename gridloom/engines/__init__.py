"""Engines: how a training is fitted."""
