"""Distil a small Wav2Vec2 from the encoder of Whisper tiny.en, then see what it is worth for words in another voice.

The network learns to give what Whisper computes three layers up (Chang et al. 2022, DistilHuBERT, arXiv:2110.01900),
from recordings without their texts: prompts in English, French, Spanish and Italian, and dialogues in Dutch. The voice
that it is judged on is not among them.
"""

from __future__ import annotations

import io
import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pretraining import arguments, compare, package, train
from torch import Tensor, nn
from torch.nn import functional as F

from headstart import assets
from headstart.assets.contract import Source
from headstart.assets.packages import members
from headstart.backbones import open_backbone
from headstart.backbones.contract import Backbone

RATE = 8000  # of the prompts
STEP = 160  # samples, 20 ms: a step of the network and one of Whisper
WINDOW = 30 * RATE  # what Whisper reads
PAUSE = RATE // 4
CROP = 2 * RATE
CROPS_A_BATCH = 8
SLOWEST, FASTEST = 0.8, 1.25  # a crop is played so much slower or faster, higher or lower: other voices, same words
LEARNING_RATE = 1e-3
TEACHER, TEACHER_BLOCKS = "whisper-tiny.en", 4  # the convolutions and three layers
DEPTHS = range(1, 7)  # below the last, that are shown too
TRAINING_VOICE = "asterisk-core-sounds-it-wav"


def _prompts(language: str, sha256: str, size: int) -> Source:
    return Source("apt", f"asterisk-core-sounds-{language}-wav", "1.6.1-1", (sha256,), size)


SOURCES = (
    next(source for source in assets.catalogue()["voice-commands"].sources if source.package == TRAINING_VOICE),
    _prompts("en", "2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d", 18_272_864),
    _prompts("fr", "8d4e1bc32ed5ba7fbda40841ca1825ed20cc6232724a473c90f8bb0e53e6073e", 18_516_060),
    _prompts("es", "9283a09a6d56fccdcc2bcfe86c48f0f844289cfbd46a3184d8785a6f7f569903", 23_767_256),
    Source("apt", "fillets-ng-data-nl", "1.0.1-1.1",
           ("afb4443fda9ab507dee578b75be857d121718a1cd6017a474f30e0eb13dc9d10",), 32_593_580),
)  # fmt: skip


def read_recordings(sources: Iterable[Source] = SOURCES) -> list[np.ndarray]:
    """Return the samples of each recording at 8 kHz, full scale at 1.0."""
    import soundfile
    import soxr

    recordings = []
    for source in sources:
        with package(source) as file:
            for name, content in members(file):
                if name.endswith((".wav", ".ogg")):
                    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
                    recordings.append(soxr.resample(samples.mean(1), rate, RATE).astype(np.float32))
    return recordings


def windows(recordings: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return windows of 30 s, in which recordings follow one another in any order with short pauses."""
    order = [one for one in recordings if len(one) > PAUSE]
    random.Random(0).shuffle(order)
    pause = np.zeros(PAUSE, np.float32)
    scaled = [part for one in order for part in (0.1 * one / (one.std() + 1e-4), pause)]
    sound = np.concatenate(scaled)
    return [sound[n : n + WINDOW] for n in range(0, len(sound) - WINDOW + 1, WINDOW)]


@torch.no_grad()
def teach(teacher: Backbone, sounds: Sequence[np.ndarray]) -> Tensor:
    """Return what the teacher computes of each window, [N, 1500, D] float16, with variance 1.

    At each step the mean of all windows is taken off, for it tells only where in the window the step is.
    """
    import soxr

    frozen, _ = teacher.cut(TEACHER_BLOCKS, TEACHER_BLOCKS)
    states = []
    for sound in sounds:
        samples = soxr.resample(sound, RATE, 2 * RATE)
        arrays = teacher.preprocess.extractor(
            samples, sampling_rate=2 * RATE, return_tensors="pt", return_attention_mask=True
        )
        with torch.autocast("cpu", torch.bfloat16):
            states.append(frozen(dict(arrays))["hidden_states"][0].half())
    differences = torch.stack(states).float()
    differences -= differences.mean(0)
    return (differences / (differences.std((0, 1)) + 1e-4)).half()


def new_network(width: int) -> nn.ModuleDict:
    """Return an untrained Wav2Vec2 of 4 layers of 192 that makes a step of each 20 ms, and a map to the teacher's."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    network = Wav2Vec2Model(Wav2Vec2Config(
        hidden_size=192, num_hidden_layers=4, num_attention_heads=6, intermediate_size=768,
        conv_dim=(128,) * 4, conv_kernel=(16, 8, 4, 4), conv_stride=(8, 5, 2, 2),
        num_conv_pos_embeddings=32, num_conv_pos_embedding_groups=8, mask_time_prob=0.0,
        hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0, layerdrop=0.0,
    ))  # fmt: skip
    return nn.ModuleDict({"network": network, "map": nn.Linear(192, width)})


def batches(sounds: Sequence[np.ndarray], taught: Tensor) -> Iterator[dict[str, Tensor]]:
    """Yield crops without end: samples, scaled as the network reads them, and the teacher's steps."""
    chance = random.Random(0)
    while True:
        crops = [_crop(sounds, taught, chance) for _ in range(CROPS_A_BATCH)]
        values, targets = (torch.stack(parts) for parts in zip(*crops, strict=True))
        yield {"input_values": values, "targets": targets}


def _crop(sounds: Sequence[np.ndarray], taught: Tensor, chance: random.Random) -> tuple[Tensor, Tensor]:
    """Take a crop at another speed; both sides are stretched to the same two seconds."""
    steps = round(CROP // STEP * chance.uniform(SLOWEST, FASTEST))
    place, first = chance.randrange(len(sounds)), chance.randrange(WINDOW // STEP - steps)
    samples = torch.from_numpy(sounds[place][first * STEP : (first + steps) * STEP])
    values = _stretch(samples[None], CROP)[0]
    values = (values - values.mean()) / (values.std() + 1e-4)
    return values, _stretch(taught[place, first : first + steps].float().T, CROP // STEP).T


def _stretch(rows: Tensor, length: int) -> Tensor:
    return F.interpolate(rows[None], size=length, mode="linear")[0]


def distance(student: Any, values: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error; the convolutions make a step or two less than the teacher."""
    found = student["map"](student["network"](values).last_hidden_state)
    first = (targets.shape[1] - found.shape[1]) // 2
    return F.mse_loss(found, targets[:, first : first + found.shape[1]])


def pretrain(recordings: Sequence[np.ndarray], output: Path, *, minutes: float, teacher: Backbone) -> int:
    """Train the network, write it to `output` in hub layout, and return the steps."""
    from transformers import Wav2Vec2FeatureExtractor

    torch.manual_seed(0)
    sounds = windows(recordings)
    taught = teach(teacher, sounds)
    student = new_network(taught.shape[-1]).train()
    print(f"{len(recordings)} recordings, {len(sounds) / 2:.1f} minutes with pauses, "
          f"{student['network'].num_parameters()} parameters", flush=True)  # fmt: skip
    steps = train(
        student, batches(sounds, taught),
        lambda batch: distance(student, batch["input_values"], batch["targets"]),
        minutes=minutes, learning_rate=LEARNING_RATE,
    )  # fmt: skip
    student["network"].save_pretrained(output)
    Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=True).save_pretrained(output)
    return steps


def part_of_words(parts: int, part: int, folder: Path) -> Path:
    """Copy one of `parts` disjoint parts of the words, both voices, below `folder`."""
    source = assets.get("voice-commands")
    words = sorted(one.name for one in (source / "train").iterdir())
    random.Random(0).shuffle(words)
    for split in ("train", "test"):
        for word in words[part::parts]:
            shutil.copytree(source / split / word, folder / "data" / split / word)
    return folder / "data"


def main() -> None:
    """Pre-train where that is not done yet, then compare on all words and on parts of them."""
    torch.set_num_threads(1)
    asked = arguments(__doc__)
    if not asked.output.exists():
        steps = pretrain(read_recordings(), asked.output, minutes=asked.minutes, teacher=open_backbone(TEACHER))
        print(f"{steps} steps of {CROPS_A_BATCH} crops of {CROP / RATE:.0f} s")
    teacher = {"its teacher": {"backbone": TEACHER, "keep": TEACHER_BLOCKS, "freeze": "all"}}
    depths = {f"after block {keep}": {"backbone": str(asked.output), "keep": keep, "freeze": "all"} for keep in DEPTHS}
    compare(partial(part_of_words, 1), asked.output, draws=min(1, asked.draws), beside=teacher | depths)
    compare(partial(part_of_words, asked.draws), asked.output, draws=asked.draws, beside=teacher)


if __name__ == "__main__":
    main()
