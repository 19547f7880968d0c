"""`python -m recsys_cli` is `recsys`."""

from recsys_cli.cli import main

if __name__ == "__main__":
    main()
