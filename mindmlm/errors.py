"""Errors a user can cause or repair; the command line prints them without a traceback."""


class MindmlmError(Exception):
    """Base of every error whose message alone tells the user what to do."""

    exit_code = 1


class ConfigError(MindmlmError):
    """A key, value or combination in the configuration is not allowed."""

    exit_code = 2


class DataError(MindmlmError):
    """A text file, vocabulary or prepared data set cannot be used."""

    exit_code = 2


class CheckpointError(MindmlmError):
    """A checkpoint is missing, damaged or does not fit."""

    exit_code = 2
