"""`python -m stork`."""

from stork.cli import main

main()
