"""A root in a bucket: what is asked of the bucket, and the local copy that all other code reads and writes."""
