"""`python -m hub.cli` is the command `tovholder`."""

from hub.cli import main

main()
