"""What is kept: versions of models, the serving state, the prediction log."""
