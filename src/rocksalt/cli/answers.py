"""Errors as answers: what a person reads, and the exit status that says whose turn it is."""

from __future__ import annotations

CONFIGURATION = 2
FAILED = 1
STOPPED = 3


def answer(error: Exception) -> tuple[str, int]:
    """The message and the exit status for an error that nobody else has turned into one."""
    from rocksalt.config.errors import ConfigError

    if isinstance(error, ConfigError):
        return str(error), CONFIGURATION
    kinds = {kind.__name__ for kind in type(error).__mro__}
    for names, status in ((_CONFIGURATION_ERRORS, CONFIGURATION), (_FAILURES, FAILED), (_STOPS, STOPPED)):
        if kinds & names:
            # Where a message begins with a place in a file, it is the whole answer.
            return str(error) if kinds & _WITH_A_PLACE else f"rocksalt: {error}", status
    if isinstance(error, OSError) and error.filename:
        return f"rocksalt: {error.filename}: {error.strerror}", CONFIGURATION
    return f"rocksalt: {_in_words(error)} (--debug shows where)", FAILED


def _in_words(error: Exception) -> str:
    """A fault of the program itself, as well as it can be said. A KeyError's own text is a bare key."""
    text = str(error)
    return text if text and not isinstance(error, LookupError) else f"{type(error).__name__}: {text}".rstrip(": ")


# By name, so that nothing heavy is imported only to say that it went wrong.
_CONFIGURATION_ERRORS = frozenset(
    {
        "FolderRefused",
        "StationBusy",
        "LockFolderRefused",
        "NoSimulator",
        "PortTaken",
        "NameRefused",
        "NotRunning",
        "BadJournal",
        "OptionError",
        "OutOfLimits",
        "OutOfRange",
        "UnknownPhase",
        "Usage",
    }
)
_FAILURES = frozenset({"DeviceError", "NoAnswer", "ChildFailed", "NotClosed", "StillRunning"})
_STOPS = frozenset({"NotBegun", "Interrupted"})
_WITH_A_PLACE = frozenset({"NoAnswer", "StationBusy", "LockFolderRefused"})


class Usage(ValueError):
    """Arguments that contradict one another, or a value that makes no sense."""
