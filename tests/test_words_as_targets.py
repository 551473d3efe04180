"""What C2VL makes of words: soft targets that are soft, several sources, the vision–language pull, names from words alone."""
import numpy as np
import pytest
import torch

from c2vl_kit.concepts.space import ConceptSpace
from c2vl_kit.concepts.wordsets import read_words
from c2vl_kit.core import InputError
from c2vl_kit.data.build import build_store
from c2vl_kit.data.splits import Split
from c2vl_kit.evaluate.zeroshot import head_of, in_concepts, name_clips, scaling_of
from c2vl_kit.losses.softness import perplexity
from c2vl_kit.methods import c2vl, simclr
from c2vl_kit.train.pretrain import pretrain
from c2vl_kit.train.runview import RunView

TINY = dict(frames=8, backbone={"width": 4, "dim": 16}, train={"epochs": 2, "batch_size": 8, "lr": 3e-3, "device": "cpu", "amp": "off"})


def unit(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def data(tiny_clips, tmp_path_factory):
    """(store, split, two spaces): all clips are trained on, and one is tested."""
    store, _ = build_store(tmp_path_factory.mktemp("data") / "store", tiny_clips, dataset="simulated", progress=False)
    rng = np.random.default_rng(0)
    rules, model = (ConceptSpace(store.names, language=unit(rng.normal(size=(len(store.names), d)))) for d in (12, 12))
    return store, Split("simulated", "all", tuple(store.names), {"official": ()}), rules, model


def trained(data, folder, words, **changes):
    store, split, *_ = data
    config = c2vl.small(**TINY).replace(**changes)
    return pretrain(c2vl, store, split, folder, config, space=words, progress=False)


def test_the_wanted_perplexity_is_what_the_loss_sees(data, tmp_path):
    run = trained(data, tmp_path / "run", data[2], loss={"intra": True, "perplexity": 4.0, "inter": False, "alpha_max": 0.5})
    seen = [r["perplexity_language"] for r in run.history()]
    assert all(3.0 < p < 5.0 for p in seen)


def test_a_hard_soft_target_is_warned_of(data, tmp_path):
    with pytest.warns(UserWarning, match="spreads over 1.0. of 8 clips"):
        trained(data, tmp_path / "run", data[2], concept_scaling="whiten", loss={"intra": True, "tau_s": 0.03, "alpha_max": 0.5})


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("loss", [{"alpha_max": 0.0}, {"intra": False}, {"intra": True, "perplexity": 3.0}])
def test_no_warning_where_nothing_is_wrong(loss, data, tmp_path):
    trained(data, tmp_path / "run", data[2], loss=loss)


def test_self_similarity_of_another_scaling(data):
    store, _, rules, _ = data
    base = c2vl.small(**TINY).replace(loss={"intra": True, "perplexity": 3.0, "alpha_max": 0.5})
    same, other = (c2vl.C2VL(store.layout, rules, base.replace(self_space=kind)) for kind in ("anchors", "centre"))
    assert same.tau_s["language"] != other.tau_s["language"]
    named = list(store.names[:4])
    assert torch.equal(other.concepts_of(named)["language"], same.concepts_of(named)["language"])
    want = torch.tensor(rules.centred().subset(named).language)
    assert torch.allclose(other.concepts_of(named, "self")["language"], want, atol=1e-6)


def test_two_sources_are_two_modalities_or_one_mean(data, tmp_path):
    both = {"rules": data[2], "model": data[3]}
    run = trained(data, tmp_path / "two", both, loss={"alpha_max": 0.0})
    assert run.config["space"]["modalities"] == ["rules", "model"]
    assert {"scale_rules", "scale_model"} <= set(run.history()[-1])
    for source, space in both.items():
        kept = scaling_of(run, source)(space.language)
        assert np.allclose(kept, space.whitened().language, atol=1e-5)
    one = trained(data, tmp_path / "one", both, concept="average", loss={"alpha_max": 0.0})
    assert "scale_fused" in one.history()[-1]
    with pytest.raises(InputError, match="kept no scaling"):
        scaling_of(one, "rules")


def test_agreement_needs_two_modalities(data, tmp_path):
    with pytest.raises(InputError, match="weight='agreement' compares two modalities"):
        trained(data, tmp_path / "run", data[2], loss={"alpha_max": 0.0, "weight": "agreement"})
    trained(data, tmp_path / "two", {"rules": data[2], "model": data[3]}, loss={"alpha_max": 0.0, "weight": "agreement"})


def test_the_pull_turns_the_concepts(data, tmp_path):
    both = {"rules": data[2], "model": data[3]}
    run = trained(data, tmp_path / "run", both, concept_scaling="none", pull=1.0, loss={"alpha_max": 0.0})
    turned = run.load_checkpoint()["model"]["adapters.rules.turn.weight"]
    assert turned.abs().max() > 1e-4
    with pytest.raises(InputError, match="two modalities"):
        trained(data, tmp_path / "no", data[2], pull=1.0)
    with pytest.raises(InputError, match="pull must be 0 or more"):
        c2vl.small(pull=-1.0)


def test_a_clip_that_was_learnt_by_heart_is_named(data, tmp_path):
    """Each clip's own description is a class of its own; a few clips, many steps."""
    store, _, rules, _ = data
    some = Split("simulated", "few", tuple(store.names[:8]), {"official": ()})
    off = {"crop": 1.0, "rotate": 0.0, "shear": 0.0, "jitter": 0.0, "scale": 0.0}
    config = c2vl.small(**TINY).replace(concept_scaling="centre", augment=off, loss={"alpha_max": 0.0},
                                        train={"epochs": 150, "warmup_epochs": 0, "save_every": 50})
    run = pretrain(c2vl, store, some, tmp_path / "run", config, space=rules.subset(some.train), progress=False)
    where = in_concepts(RunView.of(run), store, some.train)
    told = scaling_of(run)(rules.subset(some.train).language)
    assert ((where @ told.T).argmax(1) == np.arange(8)).mean() >= 0.75


def test_only_c2vl_has_heads_to_words(data, tmp_path):
    store, split, *_ = data
    run = pretrain(simclr, store, split, tmp_path / "run", simclr.small(**TINY), progress=False)
    with pytest.raises(InputError, match="kept no scaling"):
        scaling_of(run)
    with pytest.raises(InputError, match="no head for 'language'"):
        head_of(RunView.of(run))


@pytest.mark.parametrize("name, folder, clips", [("nw-ucla", "nw_ucla", 1484), ("utd-mhad", "utd_mhad", 861)])
def test_sentences_are_of_the_recordings(name, folder, clips, data_root):
    """The names are those of the real files, so nothing is described that is not there."""
    files = {p.stem.removesuffix("_skeleton") for p in (data_root / folder).rglob("*") if p.suffix in (".json", ".mat")}
    words = read_words(name)
    assert set(words.names) == files and len(words.names) == clips
    assert all(len(words.answers(n)) == 4 for n in words.names)


def test_perplexity_is_the_number_of_equals():
    equal = torch.block_diag(*[torch.ones(n, n) / n for n in (1, 2, 5)])
    assert torch.allclose(perplexity(equal), torch.tensor([1.0, 2, 2, 5, 5, 5, 5, 5]), atol=1e-5)


def test_phrases_for_every_class(data, tmp_path):
    run = trained(data, tmp_path / "run", data[2], loss={"alpha_max": 0.0})
    with pytest.raises(InputError, match="no phrase for label"):
        name_clips(run, data[0], data[0].names, {}, None)
