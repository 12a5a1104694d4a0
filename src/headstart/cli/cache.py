"""`headstart cache`: how much is kept, and remove it."""

from __future__ import annotations

from typing import Annotated

import typer

from headstart import console
from headstart.cli.contract import Json
from headstart.reporting.wording import size


def command(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all that no running command uses.")] = False,
    as_json: Json = False,
) -> None:
    """Say how much the feature cache holds, or clear it."""
    from headstart.features.cache import FeatureCache
    from headstart.features.quota import quota_bytes

    quota, cache = quota_bytes(), FeatureCache()
    try:
        in_use = cache.clear() if clear else 0
        bytes_kept, entries = cache.usage()
    finally:
        cache.close()
    if in_use:
        console.note(f"{in_use} entries stay: a running command uses them")
    if as_json:
        console.say_json({"bytes": bytes_kept, "entries": entries, "quota": quota})
        return
    console.say(f"{size(bytes_kept)} in {entries:,} entries, of {size(quota)} that may be kept")
    console.say(str(cache.folder))
