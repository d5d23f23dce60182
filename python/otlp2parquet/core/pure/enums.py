"""OTLP enums by their names."""


def name_of(names: tuple[str, ...], number: int) -> str:
    """The name that OTLP has for it; "an unknown number as its decimal text"."""
    return names[number] if 0 <= number < len(names) else str(number)
