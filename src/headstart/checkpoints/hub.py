"""Folders in hub layout from a hub, by huggingface_hub: data files only, never code."""

from __future__ import annotations

from pathlib import Path

from headstart.errors import MissingExtra, ModelError, NetworkError

# Weights as safetensors, and the small files that describe a network and its preprocessing. No code, no pickles.
_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", "README.md"]


def download(name: str) -> Path:
    """Return the local folder of the hub repository `organisation/name`, obtaining it if absent.

    The environment variables of huggingface_hub hold: `HF_TOKEN`, `HF_ENDPOINT`, `HF_HUB_OFFLINE`, `HF_HOME`.

    Raises:
        ModelError: the hub has no such repository, or it is private.
        NetworkError: the hub cannot be reached.
    """
    try:
        from huggingface_hub import errors, snapshot_download
    except ImportError:
        raise MissingExtra("huggingface-hub", "text") from None
    try:
        return Path(snapshot_download(name, allow_patterns=_WANTED))
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError) as error:
        raise ModelError(
            f"the hub has no repository `{name}` that you may read",
            "check the spelling; for a private one set HF_TOKEN; `headstart models` lists what needs no hub",
        ) from error
    except (
        errors.LocalEntryNotFoundError,
        errors.HfHubHTTPError,
        errors.OfflineModeIsEnabled,
        OSError,
    ) as error:
        raise NetworkError(
            f"the backbone `{name}` is not on this machine and the hub cannot be reached",
            "connect to the network, or give the path of a folder; `headstart models` lists what needs no hub",
        ) from error
