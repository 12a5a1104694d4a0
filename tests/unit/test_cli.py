from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import headstart
from headstart.cli import main
from headstart.device import resolve_device
from headstart.errors import DataError
from headstart.events import Note
from headstart.ranking.candidates import Candidate, Ranking
from headstart.types import Label, Skipped
from records import sample_record


class FakeModel:
    """Calls every input that it can read good, except one."""

    kind = "text"

    def __init__(self, folder="model", device="auto"):
        self.folder = Path(folder)
        self.record = sample_record("text")

    def is_unsure(self, prediction):
        return False

    def predict_examples(self, examples, *, listener):
        for example in examples:
            bad = isinstance(example, Skipped)
            yield example, example if bad else Label("good", 0.75, {"good": 0.75, "bad": 0.25})


@pytest.fixture
def api(monkeypatch):
    """Replace the library below the commands; `api.called` is what `fit` was called with."""
    fake = SimpleNamespace(load=FakeModel, called={})

    def fit(data, *, listener, **options):
        resolve_device(options["recipe"].device)
        listener(Note("3 texts were shortened"))
        fake.called = {"data": data, **options}
        return FakeModel(options["output_dir"] or "model")

    fake.fit = fit
    fake.evaluate = lambda model, data, **_: {
        "metrics": {"eval_accuracy": 0.9, "eval_accuracy_ci_low": 0.85, "eval_accuracy_ci_high": 0.94},
        "examples": 200,
    }
    fake.trace = lambda path, backbone, device: [
        {"file": "data/inputs.py", "in": path, "out": "example", "bytes": 2048, "seconds": 0.01}
    ]
    monkeypatch.setitem(sys.modules, "headstart.api", fake)
    monkeypatch.setattr(headstart, "api", fake, raising=False)
    monkeypatch.setattr("headstart.cli.fit._require_torch", lambda data, recipe: None)
    return fake


@pytest.fixture
def headstart_says(capsys):
    """Run a command and return its exit code, stdout and stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as exit:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return exit.value.code, said.out, said.err

    return run


FIT_KEYS = [
    "model_dir",
    "task",
    "backbone",
    "blocks",
    "keep",
    "freeze",
    "head",
    "labels",
    "metrics",
    "test_examples",
    "baselines",
    "seconds",
    "cache",
    "engine",
    "max_abs_difference",
    "verdict",
    "calibration",
    "resumed_from",
    "folds",
]


def test_fit_prints_one_object_with_the_promised_keys(api, headstart_says):
    code, out, err = headstart_says("fit", "data", "--output-dir", "out dir", "--json")
    said = json.loads(out)
    assert code == 0
    assert list(said) == FIT_KEYS
    assert said["model_dir"] == "out dir"
    assert list(said["baselines"]) == ["majority", "simple", "linear_probe", "from_scratch", "from_scratch_converged"]
    assert all(value is None or isinstance(value, float) for value in said["baselines"].values())
    assert "3 texts were shortened" in err


def test_fit_says_what_it_did(api, headstart_says):
    code, out, _ = headstart_says("fit", "data", "--output-dir", "out")
    record = sample_record("text")
    assert code == 0
    assert f"lower {record.freeze} are frozen" in out
    assert "95 % interval" in out
    assert "From scratch, equal time" in out
    assert "right, " in out
    assert "wrong, " in out
    assert out.endswith(f"model   out\nreport  {Path('out', 'report.html')}\n")


def test_fit_without_a_test_split_says_why(api, headstart_says, monkeypatch):
    record = sample_record("text", metrics=None, metrics_missing="one example a class", judged=[])
    monkeypatch.setattr(FakeModel, "record", property(lambda self: record, lambda self, value: None), raising=False)
    code, out, _ = headstart_says("fit", "data")
    assert code == 0
    assert "one example a class" in out
    assert json.loads(headstart_says("fit", "data", "--json")[1])["metrics"] is None


def test_options_override_the_recipe_file(api, headstart_says, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('epochs = 4\nhead = "mean"\nfreeze = 3\n')
    options = ("--recipe", recipe, "--freeze", "all", "--keep", "5", "--learning-rate", "0.01", "--no-cache")
    assert headstart_says("fit", "data", *options)[0] == 0
    chosen = api.called["recipe"]
    assert (chosen.epochs, chosen.head, chosen.freeze, chosen.keep) == (4, "mean", "all", 5)
    assert (chosen.learning_rate, chosen.cache, chosen.baselines) == (0.01, False, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fit", "data", "--epoch", "3"), "did you mean `--epochs`?"),
        (("fitt", "data"), "did you mean `fit`?"),
        (("fit", "data", "--freeze", "some"), "`some` is not a depth"),
        (("fit", "data", "--epochs", "many"), "`--epochs` cannot be `many`"),
        (("fit", "data", "--epochs", "0"), "`epochs` is `0`"),
        (("fit", "data", "--device", "cpuu"), "did you mean `cpu`?"),
        (("fit", "data", "--recipe", "absent.toml"), "the recipe `absent.toml` cannot be read"),
        (("fit", "data", "--budget", "3"), "--budget"),
        (("fit",), "`DATA` is missing"),
        (("predict", "model"), "there is nothing to predict"),
        (("predict", "model", "--top", "0", "--text", "a"), "`--top` cannot be `0`"),
        (("assets", "fetch", "photos"), "headstart assets get"),
        (("assets", "get"), "needs a name"),
        (("assets", "get", "minilm-l7"), "did you mean `minilm-l6`?"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_the_way_out(api, headstart_says, arguments, message):
    code, out, err = headstart_says(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "hint: " in err
    assert message in err


def test_devices_that_cannot_be_used_are_refused(api, headstart_says):
    assert headstart_says("fit", "data", "--device", "cuda")[0] == 1


def test_wrong_usage_is_told_to_programs_too(api, headstart_says):
    code, out, _ = headstart_says("fit", "data", "--epoch", "3", "--json")
    assert code == 2
    assert json.loads(out) == {"error": "there is no option `--epoch`", "hint": "did you mean `--epochs`?"}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DataError("`data` holds one class", "add another"), "error: `data` holds one class\nhint: add another\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "features.bin"),
            "the disk is full: cannot write `features.bin`",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "secret"), "`secret`: Permission denied"),
        (ModuleNotFoundError("No module named 'PIL'", name="PIL"), "pip install 'headstart[image]'"),
        (ModuleNotFoundError("No module named 'torch'", name="torch.nn"), "pip install 'headstart[text]'"),
        (MemoryError(), "the memory is full"),
        (ZeroDivisionError("division by zero"), "this is a bug in headstart: ZeroDivisionError: division by zero"),
    ],
)
def test_errors_exit_with_1_and_without_a_traceback(api, headstart_says, monkeypatch, error, message):
    def fit(data, **_):
        raise error

    monkeypatch.setattr(api, "fit", fit)
    code, out, err = headstart_says("fit", "data")
    assert (code, out) == (1, "")
    assert message in err
    assert "Traceback" not in err
    monkeypatch.setenv("HEADSTART_DEBUG", "1")
    assert "Traceback" in headstart_says("fit", "data")[2]


def test_an_interrupt_says_that_the_cache_is_kept(api, headstart_says, monkeypatch):
    def fit(data, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "fit", fit)
    code, _, err = headstart_says("fit", "data")
    assert code == 130
    assert "what was cached is kept; go on with --resume" in err


def test_fit_without_torch_names_the_extra_for_the_data(headstart_says, monkeypatch, tmp_path):
    table = tmp_path / "reviews.csv"
    table.write_text("text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(10)))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = headstart_says("fit", table)
    assert code == 1
    assert "pip install 'headstart[text]'" in err


def test_predict_prints_one_json_line_an_input(api, headstart_says, tmp_path):
    (tmp_path / "a b.txt").write_text("fine")
    (tmp_path / "empty.txt").write_text("")
    absent = tmp_path / "absent.txt"
    code, out, _ = headstart_says("predict", "model", tmp_path, absent, "--text", "one", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert rows[0] == {"input": "one", "label": "good", "score": 0.75, "scores": {"good": 0.75, "bad": 0.25}}
    assert [Path(row["input"]).name for row in rows[1:]] == ["a b.txt", "empty.txt", "absent.txt"]
    assert [set(row) for row in rows[2:]] == [{"input", "error"}] * 2


def test_predict_reads_the_column_that_the_model_learned_from(api, headstart_says, monkeypatch, tmp_path):
    record = sample_record("text")
    record.recipe["text_column"] = "review"
    monkeypatch.setattr(FakeModel, "record", property(lambda self: record, lambda self, value: None), raising=False)
    (tmp_path / "new.csv").write_text("id,review\n1,fine\n2,dull\n")
    code, out, _ = headstart_says("predict", "model", tmp_path / "new.csv")
    assert code == 0
    assert [line.split("\t")[1] for line in out.splitlines()] == ["good 0.750"] * 2


def test_predict_fails_only_where_all_inputs_are_bad(api, headstart_says):
    code, out, err = headstart_says("predict", "model", "absent.txt")
    assert (code, out) == (1, "")
    assert "absent.txt" in err


def test_predict_prints_as_many_classes_as_asked(api, headstart_says):
    assert headstart_says("predict", "model", "--text", "a")[1] == "a\tgood 0.750\n"
    assert headstart_says("predict", "model", "--text", "a", "--top", "5")[1] == "a\tgood 0.750, bad 0.250\n"


def test_predict_prints_one_line_an_input_whatever_its_name(api, headstart_says):
    assert headstart_says("predict", "model", "--text", "a\nb\tgood 1.000")[1] == "a b good 1.000\tgood 0.750\n"


def test_evaluate(api, headstart_says):
    said = json.loads(headstart_says("evaluate", "model", "data", "--json")[1])
    assert set(said) == {"metrics", "examples"}
    assert "0.900  (95 % interval 0.850 to 0.940)" in headstart_says("evaluate", "model", "data")[1]


def test_trace(api, headstart_says):
    steps = json.loads(headstart_says("trace", "photo.jpg", "--json")[1])["steps"]
    assert [set(step) for step in steps] == [{"file", "in", "out", "bytes", "seconds"}]
    assert "2.0 kB" in headstart_says("trace", "photo.jpg")[1]


def test_report_prints_the_path(headstart_says, tmp_path):
    code, _, err = headstart_says("report", tmp_path)
    assert code == 1
    assert "holds no report.html" in err
    (tmp_path / "report.html").write_text("<html>")
    assert headstart_says("report", tmp_path)[:2] == (0, f"{tmp_path / 'report.html'}\n")


def test_models_and_assets_have_the_promised_keys(headstart_says, monkeypatch, tmp_path):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    models = json.loads(headstart_says("models", "--json")[1])
    keys = ["name", "family", "parameters", "blocks", "licence", "origin", "present", "status"]
    assert all(list(row) == keys for row in models)
    assert not any(row["present"] for row in models)
    assets = json.loads(headstart_says("assets", "--json")[1])
    assert all(list(row) == ["name", "kind", "bytes", "licence", "present", "verified"] for row in assets)
    assert {row["name"] for row in models} < {row["name"] for row in assets}
    assert "minilm-l6" in headstart_says("models")[1]
    assert "absent" in headstart_says("assets")[1]


def test_version_and_help(headstart_says):
    assert headstart_says("--version")[1] == f"headstart {headstart.__version__}\n"
    code, out, _ = headstart_says()
    assert code == 0
    assert all(name in out for name in ("assets", "evaluate", "fit", "models", "predict", "report", "trace"))


@pytest.mark.parametrize(("arguments", "code"), [(["report", "."], 1), (["fit"], 2), (["fitt"], 2), (["--version"], 0)])
def test_processes_exit_with_the_code(arguments, code, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "headstart", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_is_no_bug(tmp_path):
    command = f"{sys.executable} -m headstart models | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.stderr == ""


@pytest.fixture
def ranking(api):
    """Let `rank` give two candidates, the recommended one trained."""

    def candidate(name, **other):
        return Candidate(name, 4, 4, "mean", 0.8, 0.7, 0.9, seconds=2.0, bytes=10, measures={"logme": 0.5}, **other)

    def rank(data, *, listener, **options):
        api.called = options
        return Ranking(
            (candidate("minilm-l6", confirmed=True), candidate("minilm-l3")), "eval_accuracy",
            {"measured": ["minilm-l6", "minilm-l3"], "largest": ["minilm-l6", "minilm-l3"], "published": []},
            {"own": "not here"}, examples=90, available=100, seconds=5.0,
        )  # fmt: skip

    api.rank = rank
    return api


def test_rank_prints_the_promised_keys(ranking, headstart_says):
    code, out, _ = headstart_says("rank", "data", "--backbones", "minilm-l6, minilm-l3", "--budget", "2", "--json")
    said = json.loads(out)
    assert code == 0
    assert {"ranking", "orders", "seconds"} <= set(said)
    assert [row["backbone"] for row in said["ranking"]] == ["minilm-l6", "minilm-l3"]
    assert (ranking.called["backbones"], ranking.called["budget"]) == (["minilm-l6", "minilm-l3"], 2.0)


def test_rank_ends_with_the_command_that_takes_the_best(ranking, headstart_says):
    _, out, _ = headstart_says("rank", "my data")
    assert out.splitlines()[-1] == "headstart fit 'my data' --backbone minilm-l6 --keep 4 --freeze 4 --head mean"
    assert "left out: own, not here" in out
    assert "0.700-0.900" in out
