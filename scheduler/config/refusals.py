"""What pydantic refuses, in words that follow the name of what was refused."""

from pydantic_core import ErrorDetails

_NUMBERS = {
    "greater_than_equal": ("ge", "must be {} or more"),
    "greater_than": ("gt", "must be more than {}"),
    "less_than_equal": ("le", "must be {} or less"),
}
_WORDS = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text; put it in quotes",
    "list_type": "must be a list, such as [a, b]",
    "too_short": "must name at least one",
}


def words(details: ErrorDetails) -> str:
    """Such as "must be 9 or less", without a full stop."""
    kind, context = details["type"], details.get("ctx", {})
    if kind in _NUMBERS:
        name, said = _NUMBERS[kind]
        return said.format(f"{context[name]:g}")
    match kind:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"must be {context['expected']}"
        case "missing":
            return "is missing; write it"
        case _:
            return _WORDS.get(kind, f"is refused: {details['msg']}")
