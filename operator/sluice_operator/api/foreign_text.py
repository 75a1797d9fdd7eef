"""Texts of others, such as servers, pods and model files, as parts of our sentences."""

_LONGEST = 200  # characters


def in_one_line(text: str, longest: int = _LONGEST) -> str:
    """The beginning of a text of somebody else, without characters that steer a terminal. `longest`: characters."""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return words if len(words) <= longest else f"{words[:longest]}..."
