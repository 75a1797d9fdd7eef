"""What all parts of a status have in common: how they are written."""

import msgspec


class StatusPart(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One mapping of the status. A field with its default value is left out."""
