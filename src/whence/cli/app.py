"""The roof of the command line: its verbs, and one place where errors become a line and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from typing import TextIO

from cyclopts import App, CycloptsError

from whence.cli import errors
from whence.cli.verbs import attribute, data, evaluate, explore, refit, report, show, study

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

app = App(
    name="whence",
    help="Find the training examples behind a prediction.",
    help_epilogue="Add --debug (or set WHENCE_DEBUG=1) to see where an error came from. "
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
    help_format="plaintext",
    version=lambda: version("whence"),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command(attribute.attribute)
app.command(study.app)
app.command(show.show)
app.command(report.report)
app.command(evaluate.evaluate)
app.command(explore.explore)
app.command(refit.refit)
app.command(data.app)


def main(tokens: Sequence[str] | None = None) -> int:
    """Carry out a command line (by default that of the process) and return its exit code."""
    given = list(sys.argv[1:] if tokens is None else tokens)
    debug = "--debug" in given or os.environ.get("WHENCE_DEBUG", "0") not in ("", "0")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = app([token for token in given if token != "--debug"], exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        return _say(f"{errors.one_line(str(error))} (whence --help shows how)", USAGE)
    except KeyboardInterrupt:
        return _say("interrupted; give the same command again to go on", INTERRUPTED)
    except BrokenPipeError:  # the reader has seen enough; and Python must not try to flush again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except errors.expected() as error:
        if debug:
            traceback.print_exc()
        return _say(errors.in_words(error), FAILED)
    return code if isinstance(code, int) else OK


def _say(text: str, code: int) -> int:
    print(f"error: {text}", file=sys.stderr)
    return code


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"warning: {errors.one_line(str(message))}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
