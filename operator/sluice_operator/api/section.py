"""What the sections of a `spec` have in common: they are written as in YAML, and never changed."""

import msgspec


class Section(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One mapping of the YAML."""
