"""An image-text-to-text model end to end: a tiny random one, saved and loaded like any other, on real video frames where there are any."""

import importlib.util
import signal
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from nursery import Nursery

from c2vl_kit.concepts.quality import quality
from c2vl_kit.concepts.kinematic import caption
from c2vl_kit.concepts.frames import Video, VideoFrames, crop, moment_frames, person_box
from c2vl_kit.concepts.lmm import LmmCaptioner
from c2vl_kit.concepts.prompts import PromptStore
from c2vl_kit.data.simulate import SimulatorConfig, simulate
from c2vl_kit.data.build import build_store
from c2vl_kit.core import InputError

needs_video = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason='needs PyAV: pip install "c2vl_kit[video]"')
WORDS = "she he is standing sitting raising a hand what does the person do at this moment body 's ? . USER ASSISTANT :".split()
CHAT = ("{% for m in messages %}USER : {% for c in m['content'] %}{% if c['type'] == 'image' %}<image> {% else %}{{ c['text'] }} "
        "{% endif %}{% endfor %}{% endfor %}ASSISTANT :")


def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {w: i for i, w in enumerate(["<pad>", "<s>", "</s>", "<unk>", "<image>", *sorted(set(WORDS))])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = dict(pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>", additional_special_tokens=["<image>"])
    return PreTrainedTokenizerFast(tokenizer_object=words, **special), len(vocabulary)


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    from transformers import CLIPImageProcessor, CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    small = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
    words, size = tokenizer()
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(LlavaConfig(
        vision_config=CLIPVisionConfig(**small, image_size=32, patch_size=8, projection_dim=16),
        image_token_index=4, vision_feature_layer=-1,
        text_config=LlamaConfig(**small, vocab_size=size, num_key_value_heads=2, max_position_embeddings=256, pad_token_id=0,
                                bos_token_id=1, eos_token_id=2)))
    with torch.no_grad():
        model.lm_head.weight *= 30
    pictures = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    folder = tmp_path_factory.mktemp("llava") / "tiny"
    model.save_pretrained(folder)
    LlavaProcessor(pictures, words, patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1,
                   chat_template=CHAT).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def blip(tmp_path_factory):
    """A model without a chat template, with an encoder for pictures and a decoder that says the question again."""
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor
    from transformers.models.blip import BlipTextConfig, BlipVisionConfig

    small = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
    words, size = tokenizer()
    torch.manual_seed(0)
    text = BlipTextConfig(**small, vocab_size=size, max_position_embeddings=64, encoder_hidden_size=16, projection_dim=16, pad_token_id=0,
                          bos_token_id=1, eos_token_id=2, sep_token_id=2)
    config = BlipConfig(text_config=text.to_dict(), vision_config=BlipVisionConfig(**small, image_size=32, patch_size=8).to_dict())
    folder = tmp_path_factory.mktemp("blip") / "tiny"
    BlipForConditionalGeneration(config).save_pretrained(folder)
    BlipProcessor(BlipImageProcessor(size={"height": 32, "width": 32}), words).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    clips = simulate(SimulatorConfig(classes=3, subjects=2, repetitions=1)).clips
    return build_store(tmp_path_factory.mktemp("clips") / "store", clips, dataset="simulated", progress=False)[0]


def coloured(clip, moments):
    return [np.full((30, 40, 3), (37 * len(clip.name) + 11 * m + sum(map(ord, clip.name))) % 256, np.uint8) for m in moments]


def test_a_model_without_chat_template_answers_too(blip, store):
    lmm = LmmCaptioner.load(str(blip), coloured, device="cpu", asked=("what does the person do ?",), new_tokens=5, batch_size=4)
    answers = [p.answer for p in lmm(store[store.names[0]])]
    assert len(answers) == 16 and not any(a.startswith("what does") for a in answers)
    assert answers == [p.answer for p in lmm.replace(batch_size=1)(store[store.names[0]])]


@needs_video
def test_the_person_of_a_real_recording_is_cut_out_and_described(data_root, llava, tmp_path):
    from c2vl_kit.readers.ntu import read_ntu, read_ntu_columns

    name = "S001C001P001R001A001"
    path = data_root / "ntu_samples" / f"{name}.skeleton"
    clip, xy = read_ntu(path), read_ntu_columns(path).colour
    video = Video(data_root / "video" / f"{name}_rgb.avi")
    assert (len(video), clip.T) == (103, 103) and xy.shape == (103, clip.M, 25, 2)
    picture = video.read([50])[0]
    assert picture.shape == (1080, 1920, 3)
    left, top, right, bottom = person_box(xy[50])
    assert right - left == bottom - top and 300 < bottom - top < 1080 and 0 < left and right < 1920
    assert crop(picture, (left, top, right, bottom), 96).shape == (96, 96, 3)
    inside = (xy[50] > [left, top]) & (xy[50] < [right, bottom])
    assert inside.all()

    store = build_store(tmp_path / "store", [clip], dataset="ntu60", progress=False)[0]
    frames = VideoFrames(data_root / "video", pixels={name: xy}, size=64)
    lmm = LmmCaptioner.load(str(llava), frames, device="cpu", asked=("c2vl",), new_tokens=6)
    prompts = caption(store, tmp_path / "prompts.jsonl", lmm, progress=False)
    assert len(prompts) == 16 and prompts.missing([name]) == {}
    text = (tmp_path / "prompts.jsonl").read_text()
    assert str(data_root) not in text and str(llava.parent) not in text and '"crop": "person, margin 0.15"' in text
    assert quality(prompts).answers == 16


@needs_video
def test_frames_are_those_of_the_decoder_in_order(data_root):
    """The AVI's time stamps are out of order; counting pictures is not: the picture read alone is the one read on the way."""
    video = Video(data_root / "video" / "S001C001P001R001A001_rgb.avi")
    some = video.read([0, 7, 8, 9])
    assert [np.array_equal(a, video.read([i])[0]) for i, a in zip((0, 7, 8, 9), some)] == [True] * 4
    assert not np.array_equal(some[1], some[2])
    people = Video(data_root / "video" / "people.mp4")
    assert len(people) == 72 and len(people.read(moment_frames(72))) == 16


def test_a_missing_extra_is_said_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "x.mp4").write_bytes(b"x")
    with pytest.raises(InputError, match=r"c2vl_kit\[video\]"):
        Video(tmp_path / "x.mp4").read([0])


HERE = Path(__file__).resolve().parent
RUN = f"""
import sys, time
sys.path[:0] = {[str(HERE), str(HERE.parent)]}
import test_lmm
from c2vl_kit.concepts.kinematic import caption
from c2vl_kit.concepts.lmm import LmmCaptioner
from c2vl_kit.data.store import Store
from transformers import AutoModelForImageTextToText, CLIPImageProcessor, LlavaForConditionalGeneration, LlavaProcessor

def slowly(clip, moments):
    time.sleep(.02)
    return test_lmm.coloured(clip, moments)
lmm = LmmCaptioner.load(sys.argv[1], slowly, device="cpu", asked=("motion",), new_tokens=4, batch_size=2)
print("go", flush=True)
caption(Store.open(sys.argv[2] + "/store"), sys.argv[2] + "/prompts.jsonl", lmm, progress=False)
"""


def test_a_killed_model_run_goes_on(llava, store, tmp_path):
    """kill -9 three times; the end is the same as without."""
    lmm = LmmCaptioner.load(str(llava), coloured, device="cpu", asked=("motion",), new_tokens=4)
    whole = caption(store, tmp_path / "whole.jsonl", lmm, progress=False)
    (tmp_path / "store").symlink_to(store.path)
    with closing(Nursery(RUN[: RUN.index("\n\n")])) as nursery:
        for wait in (0.1, 0.25, 0.4, None):
            job = nursery.start(RUN, llava, tmp_path)
            while "go" not in job.said("stdout") and job.poll() is None:
                time.sleep(0.005)
            if wait is not None:
                time.sleep(wait)
                job.send_signal(signal.SIGKILL)
            assert job.wait() == (0 if wait is None else -signal.SIGKILL), job.said()[-500:]
    again = PromptStore(tmp_path / "prompts.jsonl")
    assert again.torn == "" and {n: again.answers(n) for n in store.names} == {n: whole.answers(n) for n in store.names}
    lines = (tmp_path / "prompts.jsonl").read_bytes().splitlines()
    assert len(lines) == len(set(lines)) == len(store) * 16
