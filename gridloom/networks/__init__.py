"""Networks: from a model file to built Keras models."""
