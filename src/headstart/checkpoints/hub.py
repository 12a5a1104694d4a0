"""Folders in hub layout from a hub and to one, by huggingface_hub: data files only, never code.

Its environment variables hold: `HF_TOKEN`, `HF_ENDPOINT` (a mirror), `HF_HUB_OFFLINE`, `HF_HOME`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headstart.errors import CheckpointError, MissingExtra, ModelError, NetworkError

# Weights as safetensors, and the small files that describe a network and its preprocessing. No code, no pickles.
_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors", "*.toml", "README.md"]
# These show the user's own examples: pictures, texts, names of files, hashes of contents.
_PRIVATE = ["headstart.json", "looks.json", "report.html", ".*", "*/*"]

_ENDPOINT = "HF_ENDPOINT"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_id(name: str) -> bool:
    """Say whether `name` looks like a repository: `organisation/name`, or `organisation/name@revision`."""
    repository, _, _ = name.partition("@")
    return repository.count("/") == 1 and not name.startswith((".", "/", "~"))


def download(name: str) -> Path:
    """Return the local folder of a repository, obtaining what is absent.

    Args:
        name: `organisation/name`, with `@` and a branch, tag or commit where it is not to be the newest.

    Raises:
        ModelError: the hub has no such repository or revision, or it is private.
        NetworkError: the hub cannot be reached.
        CheckpointError: a large file is not what the hub says it is.
    """
    repository, _, revision = name.partition("@")
    with _explained(name):
        from huggingface_hub import snapshot_download

        folder = Path(
            snapshot_download(
                repository, revision=revision or None, allow_patterns=_WANTED, endpoint=os.environ.get(_ENDPOINT)
            )
        )
    if not (folder / "config.json").is_file():
        raise ModelError(f"`{name}` holds no network that can be read", "give a repository that has a config.json")
    for file in sorted(folder.iterdir()):
        _check(file)
    return folder


def pinned(name: str, folder: Path) -> str:
    """Return the name with the commit that `folder`, from `download`, is of: the same name gives the same files."""
    repository, _, _ = name.partition("@")
    return f"{repository}@{folder.name}"


def push(folder: Path, repository: str, *, private: bool = True) -> dict[str, Any]:
    """Upload a model's folder, but not the files that show its training examples; make the repository if absent.

    Returns:
        `url` of the repository, the new `commit`, the names of the `files`, and whether it is `private`.

    Raises:
        ModelError: there is no such folder, or the hub does not let you write there.
        NetworkError: the hub cannot be reached.
    """
    files = _public_files(folder)
    if "config.json" not in files:
        raise ModelError(f"`{folder}` is not a model's folder: it has no config.json", "give one that `fit` wrote")
    with _explained(repository):
        from huggingface_hub import HfApi

        hub = HfApi(endpoint=os.environ.get(_ENDPOINT))
        made = hub.create_repo(repository, private=private, exist_ok=True)
        visible = hub.repo_info(made.repo_id)
        if private and not visible.private:
            raise ModelError(
                f"`{repository}` exists and is public", "add --public, or push to a repository of another name"
            )
        commit = hub.upload_folder(
            repo_id=made.repo_id, folder_path=folder, allow_patterns=files, commit_message="Upload a headstart model"
        )
    return {"url": str(made), "commit": commit.oid, "files": files, "private": bool(visible.private)}


def _public_files(folder: Path) -> list[str]:
    from fnmatch import fnmatch

    names = sorted(file.name for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
    wanted = [name for name in names if any(fnmatch(name, pattern) for pattern in _WANTED)]
    return [name for name in wanted if not any(fnmatch(name, pattern) for pattern in _PRIVATE)]


def _check(file: Path) -> None:
    """Compare a large file with the SHA-256 that the hub stated; the cache of huggingface_hub is named after it."""
    stored = file.resolve()
    if not _SHA256.fullmatch(stored.name):
        return
    with stored.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != stored.name:
        raise CheckpointError(
            f"`{file}` has the SHA-256 {found}, and the hub says {stored.name}",
            f"remove `{stored}` and try again; if it happens again, do not trust this hub or mirror",
        )


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into errors with the way out."""
    try:
        from huggingface_hub import errors
    except ImportError:
        raise MissingExtra("huggingface-hub", "text") from None
    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"the hub has no such revision: `{name}`", "check the branch, tag or commit") from error
    except errors.GatedRepoError as error:
        raise ModelError(
            f"`{name}` asks for your agreement to its terms", "agree on its page at the hub, then set HF_TOKEN"
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise ModelError(
            f"the hub has no repository `{name}` that you may use",
            "check the spelling; for a private one set HF_TOKEN; `headstart models` lists what needs no hub",
        ) from error
    except errors.HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in (401, 403):
            raise ModelError(f"the hub does not let you use `{name}`", "set HF_TOKEN to a token that may") from error
        raise _unreachable(name) from error
    except (
        errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HTTPError, OSError, RuntimeError,
    ) as error:  # fmt: skip
        raise _unreachable(name) from error
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise NetworkError(
            f"what is at {os.environ.get(_ENDPOINT, 'the address of the hub')} does not answer as a hub does",
            "check HF_ENDPOINT",
        ) from error


def _unreachable(name: str) -> NetworkError:
    return NetworkError(
        f"the hub cannot be reached for `{name}`",
        "connect to the network, or give the path of a folder; `headstart models` lists what needs no hub",
    )
