"""Who may change what."""
