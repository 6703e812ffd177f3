"""Pages that are one file each, which a step leaves for a person: text, tables and plots."""
