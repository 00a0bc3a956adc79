"""What a person is told without a traceback."""


class PlatformError(Exception):
    """Something that a person can mend: the message is one sentence that says what is wrong and what to do.

    Commands print it and a failed step shows it, both without a traceback, which would add nothing.
    """
