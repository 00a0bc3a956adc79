"""What a person is told without a traceback."""


class PlatformError(Exception):
    """Something that a person can mend: the message is one sentence that says what is wrong and what to do.

    Commands print it and a failed step shows it, both without a traceback, which would add nothing.
    """


class Unavailable(PlatformError):
    """A service does not answer now; the same request succeeds when it is back, so that a run asks again."""
