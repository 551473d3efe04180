"""Signals as at a terminal: a job that was started in the background (nohup, &) ignores some, and would hand that on to all it starts."""

import signal

MAY_BE_IGNORED = ("SIGINT", "SIGHUP", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")


def heed() -> None:
    """Takes ignored signals back: Ctrl-C stops this process, the others pass it by; what it starts finds every signal as usual."""
    for name in MAY_BE_IGNORED:
        number = getattr(signal, name, None)  # not every system has all of them
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if name == "SIGINT" else lambda *_: None)
