"""Errors as answers: what a person reads, and the exit status that says whose turn it is."""

from __future__ import annotations

CONFIGURATION = 2
FAILED = 1


def answer(error: Exception) -> tuple[str, int]:
    """The message and the exit status for an error that nobody else has turned into one."""
    from rocksalt.config.errors import ConfigError

    if isinstance(error, ConfigError):
        return str(error), CONFIGURATION
    for name in _CONFIGURATION_ERRORS:
        if any(kind.__name__ == name for kind in type(error).__mro__):
            return f"rocksalt: {error}", CONFIGURATION
    if isinstance(error, OSError) and error.filename:
        return f"rocksalt: {error.filename}: {error.strerror}", CONFIGURATION
    return f"rocksalt: {str(error) or type(error).__name__} (--debug shows where)", FAILED


# By name, so that nothing heavy is imported only to say that it went wrong.
_CONFIGURATION_ERRORS = (
    "FolderRefused",
    "StationBusy",
    "NoSimulator",
    "PortTaken",
    "NameRefused",
    "BadJournal",
    "OptionError",
    "Usage",
)


class Usage(ValueError):
    """Arguments that contradict one another, or a value that makes no sense."""
