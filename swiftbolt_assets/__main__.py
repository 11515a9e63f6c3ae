"""The command's first lines: they free it of the current folder before anything is imported.

What belongs here: that order. What does not: the command (`cli/main.py`).
"""

from swiftbolt_assets import startup


def main() -> None:
    """Run the command line."""
    startup.begin()

    from swiftbolt_assets.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
