"""The template of AWS CloudFormation, with the names of what it is deployed with filled in.

Knows the file beside it, which holds all explanations. Must not know AWS's resources.
"""

from importlib.resources import files
from typing import Final

TEMPLATE: Final = "aws.yaml"


def template(*, zip_name: str, runtime: str, architecture: str) -> str:
    """The template for a zip."""
    text = files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    given = {"@ZIP@": zip_name, "@RUNTIME@": runtime, "@ARCHITECTURE@": architecture}
    for name, value in given.items():
        text = text.replace(name, value)
    return text
