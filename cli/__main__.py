"""``python -m cli`` is ``idol``: what torchrun starts in every process."""

from cli.main import main

if __name__ == "__main__":
    main()
