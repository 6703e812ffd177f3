"""From a candidate or a foreign model to a version in service."""
