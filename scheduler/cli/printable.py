"""Stored text on a terminal: whatever a row holds, it can't steer the terminal that shows it."""


def printable(text: str) -> str:
    """The same lines, with a sign in place of every character that isn't printable."""
    return "\n".join("".join(char if char.isprintable() else "\ufffd" for char in line) for line in text.split("\n"))


def one_line(text: str) -> str:
    return printable(text.replace("\n", " "))
