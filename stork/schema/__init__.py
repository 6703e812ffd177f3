"""What a model's input and output look like, and the checks that hold a request to it."""
