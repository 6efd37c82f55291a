"""`python -m agent` is `stairwell`."""

from agent.cli import main

main()
