"""whence: find the training examples behind a prediction."""
