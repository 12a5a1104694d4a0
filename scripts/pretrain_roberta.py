"""Pre-train a small RoBERTa on film reviews, tweets and news, then see what it is worth for product reviews.

Texts: those of Hutto and Gilbert 2014 in the Python package vaderSentiment, without their ratings and without the
product reviews, on which the network is judged.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from pretraining import arguments, compare, package, train
from torch import Tensor

from headstart import assets
from headstart.assets.packages import members, tar_members

SOURCES = ("movieReviewSnippets", "tweets", "nytEditorialSnippets")
VOCABULARY = 4000
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
STEPS_AT_MOST = 128
TEXTS_A_BATCH = 32
MASKED = 0.15
LEARNING_RATE = 2e-3
LABELS_A_CLASS = 50


def read_texts() -> list[str]:
    """Return the texts without their ratings."""
    with package("sentiment", "vaderSentiment") as file:
        (inner,) = (content for name, content in members(file) if name.endswith("/hutto_ICWSM_2014.tar.gz"))
    files = dict(tar_members(io.BytesIO(inner), "r|gz"))
    found = (files[f"hutto_ICWSM_2014/{source}_GroundTruth.txt"].decode("utf-8", "replace") for source in SOURCES)
    texts = {" ".join(line.split("\t", 2)[2].split()) for lines in found for line in lines.splitlines()}
    return sorted(texts - {""})


def train_tokenizer(texts: Sequence[str]) -> Any:
    """Train a byte-level BPE and wrap it as RoBERTa's tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=list(SPECIAL), initial_alphabet=alphabet,
                                   show_progress=False)
    )  # fmt: skip
    bpe.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = {"bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>",
             "unk_token": "<unk>", "mask_token": "<mask>"}  # fmt: skip
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, model_max_length=STEPS_AT_MOST, model_input_names=["input_ids", "attention_mask"], **names
    )


def new_network(vocabulary: int) -> Any:
    """Return an untrained RoBERTa of 4 layers of 128 with the head for masked tokens."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    return RobertaForMaskedLM(RobertaConfig(
        vocab_size=vocabulary, hidden_size=128, num_hidden_layers=4, num_attention_heads=4, intermediate_size=512,
        max_position_embeddings=STEPS_AT_MOST + 2, type_vocab_size=1, layer_norm_eps=1e-5,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    ))  # fmt: skip


def batches(ids: list[list[int]], pad: int) -> Iterator[dict[str, Tensor]]:
    """Yield padded batches of texts of like length without end, in another order each epoch."""
    shuffle = random.Random(0)
    while True:
        order = sorted(range(len(ids)), key=lambda n: (len(ids[n]), shuffle.random()))
        chunks = [order[n : n + TEXTS_A_BATCH] for n in range(0, len(order), TEXTS_A_BATCH)]
        shuffle.shuffle(chunks)
        for chunk in chunks:
            texts = [torch.tensor(ids[n]) for n in chunk]
            yield {"input_ids": torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=pad)}


def masked_loss(network: Any, mask_id: int, ids: Tensor) -> Tensor:
    """Return the cross-entropy of 15 % of the tokens: 8 in 10 of them masked, 1 replaced, 1 left as it is."""
    chosen = (torch.rand(ids.shape) < MASKED) & (ids >= len(SPECIAL))
    how = torch.rand(ids.shape)
    seen = ids.masked_fill(chosen & (how < 0.8), mask_id)
    seen = torch.where(chosen & (how > 0.9), torch.randint(len(SPECIAL), network.config.vocab_size, ids.shape), seen)
    mask = (ids != network.config.pad_token_id).long()
    hidden = network.roberta(input_ids=seen, attention_mask=mask).last_hidden_state
    return torch.nn.functional.cross_entropy(network.lm_head(hidden[chosen]), ids[chosen])


def pretrain(texts: Sequence[str], output: Path, *, minutes: float) -> int:
    """Train tokenizer and network, write both to `output` in hub layout, and return the steps."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(texts)
    ids = tokenizer(list(texts), truncation=True)["input_ids"]
    network = new_network(len(tokenizer)).train()
    print(f"{len(texts)} texts, {sum(map(len, ids))} tokens, vocabulary {len(tokenizer)}, "
          f"{network.num_parameters()} parameters", flush=True)  # fmt: skip
    steps = train(
        network, batches(ids, tokenizer.pad_token_id),
        lambda batch, _: masked_loss(network, tokenizer.mask_token_id, batch["input_ids"]),
        minutes=minutes, learning_rate=LEARNING_RATE,
    )  # fmt: skip
    network.save_pretrained(output)
    tokenizer.save_pretrained(output)
    return steps


def few_labels(draw: int, folder: Path) -> Path:
    """Write 50 product reviews a class, drawn at random, beside the whole test split."""
    source, data = assets.get("sentiment"), folder / "data"
    data.mkdir()
    with (source / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(draw).shuffle(rows)
    few = [r for label in ("negative", "positive") for r in [r for r in rows if r["label"] == label][:LABELS_A_CLASS]]
    with (data / "train.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(few)
    (data / "test.csv").write_bytes((source / "test.csv").read_bytes())
    return data


def main() -> None:
    """Pre-train where that is not done yet, then compare."""
    torch.set_num_threads(1)
    asked = arguments(__doc__)
    if not asked.output.exists():
        steps = pretrain(read_texts(), asked.output, minutes=asked.minutes)
        print(f"{steps} steps of {TEXTS_A_BATCH} texts")
    compare(few_labels, asked.output, draws=asked.draws)


if __name__ == "__main__":
    main()
