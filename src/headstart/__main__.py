"""Run the command line with `python -m headstart`."""

from headstart.cli import main

main()
