"""Folders of pictures or recordings: one a class, also inside folders of splits, or with a metadata table."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from headstart.data.formats.contract import Columns, Format, Note
from headstart.data.formats.table_folder import split_tables
from headstart.data.media import SUFFIXES, kind_of_file
from headstart.data.split import split_named
from headstart.data.table import examples, is_table, open_table, single_table, unique
from headstart.data.walk import entries, folders, printable, relative_name, walk
from headstart.errors import DataError
from headstart.types import Example, Kind, Skipped, Split

LAYOUT = "put the files of each class into a folder of its own: `{root}/<class>/1.{ending}`"
# Other files are worth a sentence when they are more than a stray README.
MANY_IGNORED = 0.1
_DEEPEST = 10  # folders inside folders to look into for the one that was meant


class MediaFolder(Format):
    """A format that is complete but for the kind of media it looks for.

    Layouts: `root/<class>/*`; `root/<split>/<class>/*`; and `metadata.csv` or `metadata.jsonl` with a column
    `file_name`, in the root or in each folder of a split.
    """

    kind: ClassVar[Kind]
    noun: ClassVar[str]
    ending: ClassVar[str]

    def recognises(self, path: Path) -> bool:
        return not split_tables(path).get("train") and any(map(self._is_media, walk(path)))

    def read(self, path: Path, columns: Columns, *, kind: Kind | None = None) -> Iterator[Example | Skipped | Note]:
        return unique(self._read(path, columns))

    def sample(self, folder: Path) -> Path:
        for number in range(12):
            inside = folder / f"{self.kind}s" / f"class{number % 2}"
            inside.mkdir(parents=True, exist_ok=True)
            self.write(inside / f"{number}.{self.ending}", number)
        return folder / f"{self.kind}s"

    @abstractmethod
    def write(self, path: Path, number: int) -> None:
        """Write one small file for `sample`, another one for each number."""

    def _read(self, root: Path, columns: Columns) -> Iterator[Example | Skipped | Note]:
        parts = self._parts(root)
        for split, folder in parts:
            metadata = single_table(_metadata(folder), "metadata")
            if metadata is not None:
                yield from self._listed(root, metadata, columns, split)
                continue
            if columns.label not in (None, Columns().label):
                yield Note(f"`{folder}` has no table: its folders are the classes, and no column `{columns.label}` is.")
            yield from self._by_class(root, folder, split)
        yield from self._outside(root, [folder for _, folder in parts])
        yield from self._ignored(root)

    def _is_media(self, path: Path) -> bool:
        return kind_of_file(path) == self.kind

    def _parts(self, root: Path) -> list[tuple[Split | None, Path]]:
        """Return the folders of the splits, or the root where its folders are classes."""
        named = [(split, folder) for folder in folders(root) if (split := split_named(folder.name))]
        if _metadata(root) or not named:
            return [(None, root)]
        # Files directly in `train`: a class that is called so, or classes were forgotten. One name of a split
        # among other folders: a class as well.
        flat = any(split == "train" and self._is_flat(folder) for split, folder in named)
        others = len(folders(root)) > len(named)
        if flat or (others and len({split for split, _ in named}) == 1):
            return [(None, root)]
        return list(named)

    def _is_flat(self, folder: Path) -> bool:
        return not _metadata(folder) and any(map(self._is_media, entries(folder)))

    def _listed(
        self, root: Path, metadata: Path, columns: Columns, split: Split | None
    ) -> Iterator[Example | Skipped | Note]:
        """Read the files that a metadata table lists; folders inside its folder mean nothing then."""
        items = list(examples(open_table(metadata), columns, kind=self.kind, split=split, within=root))
        found = [item for item in items if isinstance(item, Example)]
        yield from _split_by_name(items, found)
        unlisted = sum(map(self._is_media, walk(metadata.parent))) - len({item.name for item in found})
        if unlisted > 0:
            yield Note(f"`{relative_name(metadata, root)}` leaves out {unlisted} {self.noun}s that lie beside it.")

    def _by_class(self, root: Path, folder: Path, split: Split | None) -> Iterator[Example | Skipped | Note]:
        files = [_File(path, path.relative_to(folder).parts) for path in walk(folder) if self._is_media(path)]
        classes = {file.parts[0] for file in files if len(file.parts) > 1}
        self._refuse_wrong_level(root, folder, files, classes)
        for file in files:
            name = relative_name(file.path, root)
            if len(file.parts) == 1:
                yield Skipped(name, "lies outside the folders of the classes")
            else:
                yield Example(name, {self.kind: file.path}, printable(file.parts[0]).strip(), split)
        deep = sum(len(file.parts) > 2 for file in files)
        if deep:
            yield Note(f"{deep} {self.noun}s lie in folders inside a class folder: the outer folder is their class.")

    def _refuse_wrong_level(self, root: Path, folder: Path, files: list[_File], classes: set[str]) -> None:
        """Raise where the folder given is one too high or too low, or has no classes."""
        layout = LAYOUT.format(root=folder.relative_to(root.parent), ending=self.ending)
        if not classes and files:
            above = folder.resolve().parent
            if folder == root and self._sees_classes(above):
                layout = f"is it a class itself? Then give the folder above it, `{above}`; else {layout}"
            raise DataError(f"`{folder}` holds {len(files)} {self.noun}s, but no folders of classes", layout)
        if len(classes) == 1:
            only = folder / next(iter(classes))
            below = self._with_classes(only)
            if below:
                inner = ", ".join(f"`{printable(f.name)}`" for f in folders(below)[:5])
                raise DataError(f"`{folder}` has one class, `{only.name}`", f"did you mean `{below}`? It has {inner}")
        if folder == root and classes and all(map(split_named, classes)):
            raise DataError(
                f"`{root}` has folders of splits, but no folders of classes in them",
                LAYOUT.format(root=f"{root.name}/train", ending=self.ending),
            )

    def _with_classes(self, folder: Path) -> Path | None:
        """Return `folder`, or the only folder in it and so on, where that has folders that hold media."""
        for _ in range(_DEEPEST):
            if self._sees_classes(folder):
                return folder
            inner = folders(folder)
            if len(inner) != 1:
                return None
            folder = inner[0]
        return None

    def _sees_classes(self, folder: Path) -> bool:
        """Say whether at least two folders in `folder` hold media."""
        return sum(any(map(self._is_media, walk(inner))) for inner in folders(folder)[:20]) > 1

    def _outside(self, root: Path, parts: list[Path]) -> Iterator[Note]:
        """Count the media beside the folders of the splits."""
        left_out = sum(map(self._is_media, walk(root)))
        left_out -= sum(self._is_media(path) for folder in parts for path in walk(folder))
        if left_out > 0:
            yield Note(f"{left_out} {self.noun}s lie outside the folders of the splits and were left out.")

    def _ignored(self, root: Path) -> Iterator[Note]:
        """Count the files of other kinds, when they are many."""
        paths = list(walk(root))
        others = [path for path in paths if not self._is_media(path) and not is_table(path)]
        if len(others) > MANY_IGNORED * (len(paths) - len(others)):
            endings = Counter(printable(path.suffix.lower()) or "no ending" for path in others).most_common(3)
            named = ", ".join(f"{count} {ending}" for ending, count in endings)
            yield Note(f"{len(others)} files were ignored ({named}): only {_endings(self.kind)} are read.")


@dataclass(frozen=True, slots=True)
class _File:
    """A file and its path below the folder of the classes."""

    path: Path
    parts: tuple[str, ...]


def _metadata(folder: Path) -> list[Path]:
    """Return the metadata tables in `folder`."""
    return [path for path in entries(folder) if path.stem.lower() == "metadata" and is_table(path)]


def _split_by_name(
    items: Iterable[Example | Skipped | Note], found: list[Example]
) -> Iterator[Example | Skipped | Note]:
    """Take the split from `train/1.jpg` where every listed file lies in a folder called like a split."""
    splits = [None if item.split else _first_folder(item.name) for item in found]
    decided = all(splits)
    for item in items:
        yield replace(item, split=_first_folder(item.name)) if decided and isinstance(item, Example) else item


def _first_folder(name: str) -> Split | None:
    folder, slash, _ = name.partition("/")
    return split_named(folder) if slash else None


def _endings(kind: Kind) -> str:
    return ", ".join(sorted(SUFFIXES[kind]))
