"""The command line: one file per verb; `main` finds them."""
