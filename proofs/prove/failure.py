"""What a proof fails with."""


class Failure(Exception):
    """Something that had to hold does not, or could not be shown."""
