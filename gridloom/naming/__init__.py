"""Names of values, points, blocks of repetitions and columns."""
