"""The CHECKs of our tables in words, for who has written a value that one of them refuses."""

import re

_FORMS = (
    (r"(\w+) <> '' AND octet_length\(\1\) <= (\d+)", "{0} must have from 1 to {1} bytes"),
    (r"octet_length\((\w+)\) <= (\d+)", "{0} must have at most {1} bytes"),
    (r"octet_length\((\w+)::text\) <= (\d+)", "{0} must have at most {1} bytes as text"),
    (r"\((\w+) IS NULL\) = \((\w+) IS NULL\)", "{0} and {1} must be there both, or neither"),
    (r"NOT (\w+) OR \((\w+) IS NULL AND (\w+) IS NULL\)", "{1} and {2} must be NULL unless {0} is false"),
    (r"(\w+) > (\d+) AND \1 <= (\d+)", "{0} must be more than {1} and at most {2}"),
    (r"(\w+) BETWEEN (-?\d+) AND (\d+)", "{0} must be from {1} to {2}"),
    (r"(\w+) >= (\d+)", "{0} must be {1} or more"),
    (r"(\w+) IN \(([^()]+)\)", "{0} must be one of {1}"),
)


def in_words(condition: str) -> str:
    """Such as "priority must be from -9 to 9"; one of another form is quoted as it stands."""
    for form, said in _FORMS:
        if found := re.fullmatch(form, condition):
            return said.format(*found.groups())
    return f"{condition} must hold"
