"""Learning a model from rows: preprocessing in the graph, a wide-and-deep net, an exported SavedModel."""
