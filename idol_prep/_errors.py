"""The one error of this package that is the user's to mend."""


class DataError(ValueError):
    """Bad data or input: one line that names the thing, the value and the fix."""
