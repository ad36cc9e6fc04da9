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
    try:
        from chatctl.cli.app import main as run_command_line

        code = run_command_line()
    except KeyboardInterrupt:
        # Ctrl-C came while the program was still loading, so nothing has begun.
        sys.stderr.write("error: Interrupted.\n")
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
