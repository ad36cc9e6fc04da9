"""Why a value or a row can't be taken. Both end as a reject with a reason, never as a command's error."""


class UnfitError(ValueError):
    """A value that its column can't take; the text goes on from the column's name: `is not an integer`."""


class RowError(ValueError):
    """A row that its table can't take; the text is the reject's reason: `userId is missing`."""
