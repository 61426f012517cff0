"""Small JSON files that say themselves whether they are whole."""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import json
from typing import Any


_KEY = "sha256"


def seal(fields: Mapping[str, Any]) -> bytes:
    """Return fields as a JSON file whose last field is the SHA-256 of the others.

    Infinite numbers are written as Python and Optuna write them, ``Infinity``.
    """
    digest = hashlib.sha256(_dump(fields)).hexdigest()
    return _dump({**fields, _KEY: digest})


def unseal(content: bytes | str, schema_version: int, *, required: bool = True) -> dict[str, Any]:
    """Read back what :func:`seal` made, and nothing that differs from it by a single bit.

    Args:
        content: The file's content.
        schema_version: What its field ``schema_version`` must be; it is not returned.
        required: Whether content without a checksum, as people write it, is refused.

    Raises:
        ValueError: If the content is no JSON object, has another version, or has been changed
            since it was sealed.
    """
    fields = json.loads(content)
    if not isinstance(fields, dict) or "schema_version" not in fields:
        raise ValueError("it is no JSON object with a schema_version")
    if fields["schema_version"] != schema_version:
        raise ValueError(
            f"it has schema version {fields['schema_version']!r}, this version of optuna-gamma "
            f"reads {schema_version}"
        )
    if fields.pop(_KEY, None) is not None or required:
        raw = content.encode() if isinstance(content, str) else content
        if seal(fields) != raw:
            raise ValueError("it is damaged: its content is not the one its checksum was made for")
    del fields["schema_version"]
    return fields


def _dump(fields: Mapping[str, Any]) -> bytes:
    return (json.dumps(fields, indent=2) + "\n").encode()
