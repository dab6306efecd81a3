"""Data: where raw rows come from, how they are split, what a network is fed."""
