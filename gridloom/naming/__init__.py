"""What things are called: values, points, blocks of repetitions, columns."""
