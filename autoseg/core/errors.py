"""The one error that a user may see."""


class BadInput(Exception):
    """Something given to autoseg cannot be used.

    The message is one sentence that names the file (or option), the problem and the remedy;
    the command line prints it without a traceback and exits with status 2.
    """
