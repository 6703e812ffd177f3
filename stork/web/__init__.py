"""The HTTP side: a door, dialects for programs, pages for people."""
