"""`python -m klingkit` works as the command does."""

from klingkit.cli import main

main(prog_name="klingkit")
