"""Which steps a pipeline has, and how a run of them is carried out."""
