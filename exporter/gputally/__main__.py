"""`python -m gputally` is the same as `gputally`."""

from gputally.cli import main

if __name__ == "__main__":
    main()
