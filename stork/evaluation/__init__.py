"""How good a model is, and whether it can be trusted to answer at all."""
