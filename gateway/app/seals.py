"""The keys of the seal over our marks, read where the settings refer to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.config.secrets import read_secret
from gateway.core.errors import SetupError
from gateway.tagging.seal import SealKeys

if TYPE_CHECKING:
    from gateway.config.inbound import TagSettings


def seal_keys(settings: TagSettings) -> SealKeys | None:
    """Return the keys of seals, None without any; raises `SetupError`."""
    if not settings.seals:
        return None
    try:
        return SealKeys(tuple((each.id, read_secret(each.key)) for each in settings.seals))
    except ValueError as error:
        raise SetupError(f"tags.seals: {error}") from error
