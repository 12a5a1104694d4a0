"""Pre-train a small RoBERTa on the definitions of WordNet, then see what it is worth for sorting others.

Texts: the glosses of WordNet 3.0 (Fellbaum 1998), without those that the network is judged on. Each is read twice,
with complementary halves of its words masked. The network restores masked words (Liu et al. 2019, arXiv:1907.11692)
and tells which two halves are of one gloss (Giorgi et al. 2021, DeCLUTR, arXiv:2006.03659).
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pretraining import arguments, compare, package, train
from torch import Tensor
from torch.nn import functional as F

from headstart.assets.contract import Source
from headstart.assets.packages import members

WORDNET = Source("apt", "wordnet-base", "1:3.0-37",
                 ("61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",), 6_467_132)  # fmt: skip
# The lexicographer files of nouns with the most glosses, by their number in lexnames(5WN).
CLASSES = {4: "act", 5: "animal", 6: "artifact", 7: "attribute", 10: "communication", 15: "location", 18: "person",
           20: "plant", 26: "state", 27: "substance"}  # fmt: skip
LABELS_A_CLASS, TESTS_A_CLASS = 20, 200
VOCABULARY = 8000
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
STEPS_AT_MOST = 128
TEXTS_A_BATCH = 64
RESTORED = 0.15  # of the masked tokens: the map to the vocabulary is dear
TEMPERATURE = 0.1
LEARNING_RATE = 1e-3
SCRATCH_MINUTES = 7.0  # at most; enough to converge even where other programs take most of the processor


class Gloss(NamedTuple):
    """A definition, perhaps with examples; the class of those that are judged."""

    text: str
    label: str | None


class Glosses(NamedTuple):
    """Those to learn from, with and without a class, and those to test on."""

    train: list[Gloss]
    test: list[Gloss]


def read_glosses() -> list[Gloss]:
    """Return each gloss once, by its text."""
    found: dict[str, Gloss] = {}
    with package(WORDNET) as file:
        files = dict(members(file, "usr/share/wordnet/data."))
    for _, content in sorted(files.items()):
        for line in content.decode().splitlines():
            if line.startswith(" "):  # the licence
                continue
            synset, text = line.split(" | ", 1)
            text, number = " ".join(text.split()), int(synset.split()[1])
            found.setdefault(text.casefold(), Gloss(text, CLASSES.get(number)))
    return sorted(found.values())


def split(glosses: Sequence[Gloss]) -> Glosses:
    """Set 200 glosses of each class apart, drawn at random."""
    order = list(glosses)
    random.Random(0).shuffle(order)
    test = {gloss for label in CLASSES.values() for gloss in of_class(order, label, TESTS_A_CLASS)}
    return Glosses([one for one in order if one not in test], sorted(test))


def of_class(glosses: Sequence[Gloss], label: str, count: int) -> list[Gloss]:
    """Return the first `count` glosses of a class."""
    return [gloss for gloss in glosses if gloss.label == label][:count]


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


def loss_of_halves(network: Any, mask_id: int, ids: Tensor) -> Tensor:
    """Return the cross-entropy of masked tokens and that of finding, among all others, the other half of each text."""
    words, first = ids >= len(SPECIAL), torch.rand(ids.shape) < 0.5
    masked = torch.cat([words & first, words & ~first])
    twice = torch.cat([ids, ids])
    real = (twice != network.config.pad_token_id).long()
    seen = twice.masked_fill(masked, mask_id)
    hidden = network.roberta(input_ids=seen, attention_mask=real).last_hidden_state
    restored = masked & (torch.rand(masked.shape) < RESTORED)
    return F.cross_entropy(network.lm_head(hidden[restored]), twice[restored]) + contrast(hidden, real)


def contrast(hidden: Tensor, real: Tensor) -> Tensor:
    """Return the cross-entropy of finding row n + N of [2 N, T, D] by row n, and the other way round, by the means."""
    means = (hidden * real[..., None]).sum(1) / real.sum(1, keepdim=True)
    # All means share a large part, beside which no difference would count.
    ones, others = F.normalize(means.float() - means.float().mean(0), dim=1).chunk(2)
    alike, same = ones @ others.T / TEMPERATURE, torch.arange(len(ones))
    return (F.cross_entropy(alike, same) + F.cross_entropy(alike.T, same)) / 2


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
        lambda batch: loss_of_halves(network, tokenizer.mask_token_id, batch["input_ids"]),
        minutes=minutes, learning_rate=LEARNING_RATE,
    )  # fmt: skip
    network.save_pretrained(output)
    tokenizer.save_pretrained(output)
    return steps


def few_labels(glosses: Glosses, draw: int, folder: Path) -> Path:
    """Write 20 glosses of each class, drawn at random, beside the test split."""
    order = list(glosses.train)
    random.Random(draw).shuffle(order)
    few = [gloss for label in CLASSES.values() for gloss in of_class(order, label, LABELS_A_CLASS)]
    for name, chosen in (("train", few), ("test", glosses.test)):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([Gloss._fields, *chosen])
    return folder


def main() -> None:
    """Pre-train where that is not done yet, then compare."""
    torch.set_num_threads(1)
    asked = arguments(__doc__)
    glosses = split(read_glosses())
    if not asked.output.exists():
        steps = pretrain([gloss.text for gloss in glosses.train], asked.output, minutes=asked.minutes)
        print(f"{steps} steps of {TEXTS_A_BATCH} texts")
    compare(partial(few_labels, glosses), asked.output, draws=asked.draws, head="mean", scratch_minutes=SCRATCH_MINUTES)


if __name__ == "__main__":
    main()
