"""`python -m netwright`: the command `netwright`."""

from netwright.cli.main import main

if __name__ == "__main__":
    main()
