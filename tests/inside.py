"""The command `c2vl` in this process: a new one for each call would spend its seconds importing."""

import warnings
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from c2vl_kit.app.cli import main


@dataclass
class Done:
    """What a command left, as `subprocess.run` tells it."""

    returncode: int
    stdout: str
    stderr: str


def c2vl(*args, cwd: Path) -> Done:
    """Runs the command in `cwd`, with the warnings that a new process shows; an exception is the test's."""
    out, err = StringIO(), StringIO()
    with chdir(cwd), redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
        warnings.resetwarnings()
        for hidden in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", hidden)
        try:
            code = main([str(a) for a in args])
        except SystemExit as end:  # as after --help
            code = end.code or 0
    return Done(code, out.getvalue(), err.getvalue())
