"""The exceptions that the package raises for what a user does or can put right."""


class RamError(ValueError):
    """A fault in what was given: a flag, a file, a shape or a value.

    The message is one line that says what was wrong, where, and what was
    expected and found. Commands print it and exit with status 1.
    """


class Interrupted(Exception):
    """Training stopped on a signal, after a checkpoint was written.

    Attributes:
      signal: the signal's number.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(f"stopped by signal {signal}, checkpoint saved")
        self.signal = signal
