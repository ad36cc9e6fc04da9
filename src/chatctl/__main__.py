"""The program. The only place that exits."""

from __future__ import annotations

import sys

from chatctl import __version__


def main() -> None:
    """Runs the process's command line and exits with its code."""
    # Scripts ask for the version often, and all that a command line costs is unneeded to answer.
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"chatctl {__version__}\n")
        return
    from chatctl.cli.app import main as run_command_line

    sys.exit(run_command_line())


if __name__ == "__main__":
    main()
