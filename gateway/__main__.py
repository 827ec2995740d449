"""`python -m gateway` is the same as the `gateway` command; it must never do anything of its own."""

from gateway.cli import main

if __name__ == "__main__":
    main()
