"""Pre-train a small Wav2Vec2 on the prompts of one Italian voice, then see what it is worth for words in another.

Recordings: those of the Debian package asterisk-core-sounds-it-wav, without their texts. The voice that the network
is judged on is not among them.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pretraining import arguments, compare, package, train
from torch import Tensor

from headstart import assets
from headstart.assets.packages import members

RATE = 8000  # of the recordings
CROP = 2 * RATE
CROPS_A_BATCH = 8
MASKED_SPAN, MASKED_SHARE, NEGATIVES = 5, 0.5, 50
LEARNING_RATE = 1e-3
WARMEST, COLDEST = 2.0, 0.5  # of the choice of code words


def read_recordings() -> list[np.ndarray]:
    """Return the samples of each prompt, scaled as the network reads them."""
    import soundfile

    with package("voice-commands", "asterisk-core-sounds-it-wav") as file:
        found = [content for name, content in members(file) if name.endswith(".wav")]
    recordings = [soundfile.read(io.BytesIO(content), dtype="float32")[0] for content in found]
    return [(one - one.mean()) / (one.std() + 1e-4) for one in recordings if len(one) > RATE // 4]


def new_network() -> Any:
    """Return an untrained Wav2Vec2 of 4 layers of 128 that makes a step of each 20 ms, with the quantizer."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining

    return Wav2Vec2ForPreTraining(Wav2Vec2Config(
        hidden_size=128, num_hidden_layers=4, num_attention_heads=4, intermediate_size=512,
        conv_dim=(64,) * 4, conv_kernel=(16, 8, 4, 4), conv_stride=(8, 5, 2, 2),
        num_conv_pos_embeddings=32, num_conv_pos_embedding_groups=8, num_codevectors_per_group=64,
        num_codevector_groups=2, codevector_dim=64, proj_codevector_dim=64, num_negatives=NEGATIVES,
        hidden_dropout=0.0, attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0,
        feat_quantizer_dropout=0.0, layerdrop=0.0,
    ))  # fmt: skip


def batches(recordings: Sequence[np.ndarray]) -> Iterator[dict[str, Tensor]]:
    """Yield crops of two seconds without end; short prompts follow one another as in speech."""
    chance = random.Random(0)
    while True:
        order = list(recordings)
        chance.shuffle(order)
        sound = np.concatenate(order)[chance.randrange(CROP) :]
        crops = [sound[n : n + CROP] for n in range(0, len(sound) - CROP, CROP)]
        chance.shuffle(crops)
        for n in range(0, len(crops) - CROPS_A_BATCH + 1, CROPS_A_BATCH):
            yield {"input_values": torch.from_numpy(np.stack(crops[n : n + CROPS_A_BATCH]))}


def contrastive_loss(network: Any, values: Tensor, share: float) -> Tensor:
    """Return the loss a masked step: contrastive and, with the configuration's weight, that of the diversity."""
    from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices, _sample_negative_indices

    network.set_gumbel_temperature(COLDEST + (WARMEST - COLDEST) * (1 - share))
    shape = (len(values), int(network._get_feat_extract_output_lengths(values.shape[1])))
    mask = _compute_mask_indices(shape, MASKED_SHARE, MASKED_SPAN)
    negatives = _sample_negative_indices(shape, NEGATIVES, mask)
    found = network(
        values, mask_time_indices=torch.from_numpy(mask), sampled_negative_indices=torch.from_numpy(negatives)
    )
    return found.loss / int(mask.sum())


def pretrain(recordings: Sequence[np.ndarray], output: Path, *, minutes: float) -> int:
    """Train the network, write it to `output` in hub layout, and return the steps."""
    from transformers import Wav2Vec2FeatureExtractor

    torch.manual_seed(0)
    np.random.seed(0)  # transformers draws masks and negatives from it
    network = new_network().train()
    print(f"{len(recordings)} recordings, {sum(map(len, recordings)) / RATE / 60:.1f} minutes, "
          f"{network.num_parameters()} parameters", flush=True)  # fmt: skip
    steps = train(
        network, batches(recordings), lambda batch, share: contrastive_loss(network, batch["input_values"], share),
        minutes=minutes, learning_rate=LEARNING_RATE,
    )  # fmt: skip
    network.save_pretrained(output)
    Wav2Vec2FeatureExtractor(sampling_rate=RATE, do_normalize=True).save_pretrained(output)
    return steps


def main() -> None:
    """Pre-train where that is not done yet, then compare."""
    torch.set_num_threads(1)
    asked = arguments(__doc__)
    if not asked.output.exists():
        steps = pretrain(read_recordings(), asked.output, minutes=asked.minutes)
        print(f"{steps} steps of {CROPS_A_BATCH} crops of {CROP / RATE:.0f} s")
    compare(lambda draw, folder: assets.get("voice-commands"), asked.output, draws=asked.draws)


if __name__ == "__main__":
    main()
