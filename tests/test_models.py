"""Backbones: every one on every layout, and the networks as a whole against plain versions written branch by branch."""

import importlib.util
import json

import pytest
import torch
import torch.nn.functional as F

from c2vl_kit.models.ctrgcn import CTRGCN, FourLooks
from c2vl_kit.models.sequence import GRUEncoder, TransformerEncoder
from c2vl_kit.models.stgcn import STGCN, calibrate, each_person
from c2vl_kit.models.zoo import MODELS, Backbone, check_model, count_flops, count_parameters, list_models
from c2vl_kit.core import InputError
from c2vl_kit.skeleton import COCO17, LAYOUTS, NTU25, SBU15

SMALL = {
    "stgcn": Backbone("stgcn", width=4, dim=8),
    "stgcn-hop1": Backbone("stgcn", width=4, dim=8, partition="legacy-hop1"),
    "stgcn-legacy": Backbone("stgcn", width=4, dim=8, persons="legacy"),
    "ctrgcn": Backbone("ctrgcn", width=4, dim=8),
    "ctrgcn-legacy": Backbone("ctrgcn", width=4, dim=8, persons="legacy", slots=2),
    "gru": Backbone("gru", width=4),
    "gru-legacy": Backbone("gru", width=4, persons="legacy", slots=2, direction="legacy"),
    "transformer": Backbone("transformer", width=8, dim=8, layers=1),
    "transformer-legacy": Backbone("transformer", width=8, dim=8, layers=1, persons="legacy"),
}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize("name", SMALL)
def test_conformance(name, layout):
    torch.manual_seed(0)
    assert check_model(SMALL[name].make(layout), layout, frames=(1, 4))["layout"] == layout.name


def test_check_model_leaves_encoder_and_generator_alone():
    torch.manual_seed(0)
    net = SMALL["ctrgcn"].make(SBU15).train()
    before, drawn = {k: v.clone() for k, v in net.state_dict().items()}, torch.get_rng_state()
    check_model(net, frames=(1, 3))
    assert net.training and torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items()) and all(p.grad is None for p in net.parameters())


# ---------------------------------------------------------------- persons
def clips(*shape):
    x = torch.randn(*shape, dtype=torch.double)
    x[1, ..., 1] = 0
    x[2, ..., 0] = 0
    x[3] = 0
    return x


@pytest.mark.parametrize("name", ["stgcn", "ctrgcn", "gru", "transformer"])
def test_persons_against_a_plain_loop(name):
    """One pass per person, the mean over who is there; gradients too."""
    torch.manual_seed(0)
    net = calibrate(SMALL[name].make(SBU15).double(), torch.randn(16, 3, 5, 15, 1, dtype=torch.double))
    x = clips(4, 3, 5, 15, 2).requires_grad_()
    found = [(0, 1), (0,), (1,), (0,)]
    plain = torch.stack([torch.stack([net(x[n : n + 1, ..., m : m + 1])[0] for m in who]).mean(0) for n, who in enumerate(found)])
    fast, weigh = net(x), torch.randn_like(plain)
    torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-9)
    for a, b in zip(*(torch.autograd.grad((y * weigh).sum(), [x, *net.parameters()], allow_unused=True) for y in (fast, plain))):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def test_absent_persons_are_never_computed():
    ran = []

    def encode(bodies):
        ran.append(len(bodies))
        return bodies.flatten(1)[:, :3]

    x = clips(4, 3, 5, 15, 3)
    x[..., 2] = 0
    each_person(encode, x)
    each_person(encode, x, torch.tensor([[True, False, False]] * 4))
    each_person(encode, x, persons="legacy")
    assert ran == [5, 4, 12]  # two, one, one, and the empty first person of the clip without anybody


def test_training_statistics_see_only_who_is_there():
    torch.manual_seed(0)
    nets = [CTRGCN(SBU15, width=4, dim=8) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.randn(4, 3, 5, 15, 1)
    nets[0](x), nets[1](torch.cat([x, torch.zeros_like(x)], 4))
    for (name, a), b in zip(nets[0].state_dict().items(), nets[1].state_dict().values()):
        torch.testing.assert_close(a, b, msg=name)


# ---------------------------------------------------------------- CTR-GCN, branch by branch
def norm(x, bn, part=slice(None), training=True):
    return F.batch_norm(x, None, None, bn.weight[part], bn.bias[part], training=training, eps=bn.eps)


def plain_looks(look, x, stride):
    """The four branches one by one, each with convolutions and norms of its own."""
    q = x.shape[1] // 4
    quarters = [slice(k * q, (k + 1) * q) for k in range(4)]
    enter = [F.relu(norm(F.conv2d(x, look.entry.weight[k], look.entry.bias[k]), look.entry_norm, k)) for k in quarters[:3]]
    near = F.conv2d(enter[0], look.near.weight, look.near.bias, (stride, 1), (2, 0))
    wide = F.conv2d(enter[1], look.wide.weight, look.wide.bias, (stride, 1), (4, 0), (2, 1))
    largest = F.max_pool2d(enter[2], (3, 1), (stride, 1), (1, 0))
    now = F.conv2d(x, look.now.weight, look.now.bias, (stride, 1))
    return torch.cat([norm(y, look.norm, k) for y, k in zip((near, wide, largest, now), quarters)], 1)


@pytest.mark.parametrize("stride", [1, 2])
def test_four_looks_equal_four_branches(stride):
    for seed in range(5):
        torch.manual_seed(seed)
        look, x = FourLooks(8, stride).double(), torch.randn(2, 8, 7 + seed, 4, dtype=torch.double, requires_grad=True)
        fast, plain = look(x), plain_looks(look, x, stride)
        torch.testing.assert_close(fast, plain)
        weigh = torch.randn_like(fast)
        for a, b in zip(*(torch.autograd.grad((y * weigh).sum(), [x, *look.parameters()]) for y in (fast, plain))):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def plain_ctrgcn(net, x):
    """The published order of operations: persons' norm, relation maps on every frame, subsets one by one; no mask, no shared mean."""
    N, C, T, V, M = x.shape
    x = norm(x.permute(0, 4, 3, 1, 2).reshape(N, M * V * C, T), net.norm)
    x = x.view(N, M, V, C, T).permute(0, 1, 3, 4, 2).reshape(N * M, C, T, V)
    for n, unit in enumerate(net.units):
        y = 0
        for g, A in zip(unit.graphs, unit.A):
            p, q = (F.conv2d(x, c.weight[..., None], c.bias).mean(2) for c in (g.collector, g.sender))
            R = g.refine(torch.tanh(p.unsqueeze(-1) - q.unsqueeze(-2))) * unit.alpha + A
            y = y + torch.einsum("ncuv,nctv->nctu", R, g.value(x))
        shortcut = x if isinstance(unit.shortcut, torch.nn.Identity) else norm(unit.shortcut[0](x), unit.shortcut[1])
        y = plain_looks(unit.time, F.relu(norm(y, unit.norm) + shortcut), 2 if n in (4, 7) else 1)
        if n:
            y = y + (x if isinstance(unit.residual, torch.nn.Identity) else norm(unit.residual[0](x), unit.residual[1]))
        x = F.relu(y)
    return x.mean((2, 3)).view(N, M, -1).mean(1)


def test_ctrgcn_equals_the_published_order_of_operations():
    torch.manual_seed(0)
    net = CTRGCN(SBU15, width=8, dim=16, persons="legacy", slots=2).double()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
        for unit in net.units:
            unit.alpha.fill_(0.4), unit.norm.weight.fill_(0.9)
    x = torch.randn(3, 3, 9, 15, 2, dtype=torch.double, requires_grad=True)
    fast, plain = net(x), plain_ctrgcn(net, x)
    torch.testing.assert_close(fast, plain, rtol=1e-9, atol=1e-9)
    weigh, unit = torch.randn_like(fast), net.units[5]
    wanted = [x, unit.A, unit.alpha, unit.graphs[1].sender.weight, net.norm.weight]
    for a, b in zip(*(torch.autograd.grad((y * weigh).sum(), wanted) for y in (fast, plain))):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


def test_ctrgcn_starts_as_published():
    torch.manual_seed(0)
    net = CTRGCN(NTU25)
    unit = net.units[4]  # 64 -> 128 channels, stride 2
    assert (unit.alpha.item(), unit.norm.weight.unique().tolist()) == (0.0, [pytest.approx(1e-6)])
    spread = {  # sqrt(2 / (channels out · kernel)); entry: of one quarter
        unit.graphs[0].value: 2 / 128, unit.graphs[0].sender: 2 / 8, unit.graphs[0].refine: 2 / 128, unit.shortcut[0]: 2 / 128,
        unit.time.entry: 2 / 32, unit.time.near: 2 / (32 * 5), unit.time.now: 2 / 32, unit.residual[0]: 2 / 128,
    }
    for conv, variance in spread.items():
        assert conv.weight.std().item() == pytest.approx(variance**0.5, rel=0.1) and not conv.bias.any()


# ---------------------------------------------------------------- sequences
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_gru_walks(layers):
    """Default: torch's bidirectional GRU and each direction's own last memory; legacy: fed frame by frame."""
    torch.manual_seed(layers)
    net = GRUEncoder(SBU15, width=6, layers=layers).double().eval()
    old = GRUEncoder(SBU15, width=6, layers=layers, direction="legacy").double().eval()
    old.load_state_dict(net.state_dict())
    gru = torch.nn.GRU(45, 6, num_layers=layers, bidirectional=True, batch_first=True).double()
    gru.load_state_dict({f"{k[:-1]}{n}{end}": v for end, stack in (("", net.ahead), ("_reverse", net.back))
                         for n, g in enumerate(stack) for k, v in g.state_dict().items()})
    x = torch.randn(2, 3, 6, 15, 1, dtype=torch.double)
    poses, memory = net.norm(x[..., 0].permute(0, 3, 1, 2).flatten(1, 2)).transpose(1, 2), None
    torch.testing.assert_close(net(x), gru(poses)[1][-2:].transpose(0, 1).flatten(1))
    for t in range(6):
        step, memory = gru(poses[:, t : t + 1], memory)
    torch.testing.assert_close(old(x), step[:, -1])


def test_legacy_gru_puts_persons_side_by_side_in_the_published_order():
    net = GRUEncoder(SBU15, width=2, layers=1, persons="legacy", slots=2).eval()
    x, seen = torch.arange(2 * 3 * 4 * 15 * 2.0).view(2, 3, 4, 15, 2), []
    net.norm.register_forward_hook(lambda module, args, out: seen.append(args[0]))
    net(x)
    assert torch.equal(seen[0].transpose(1, 2), x.permute(0, 2, 3, 1, 4).flatten(2))  # (N, T, V·C·M)


def test_transformer_takes_any_length_and_repeats_the_last_frame():
    torch.manual_seed(0)
    net = TransformerEncoder(COCO17, width=8, dim=6, layers=1).eval()
    x = torch.randn(2, 3, 6, 17, 1)
    padded = torch.cat([x, x[:, :, -1:], x[:, :, -1:]], 2)
    torch.testing.assert_close(net(x), net(padded))
    assert net(x[:, :, :1]).shape == (2, 6)


# ---------------------------------------------------------------- settings
OTHER = dict(width=8, dim=12, dropout=0.25, partition="uniform", persons="legacy", layers=2, slots=1, direction="legacy")
HAS = dict(
    stgcn=("width", "dim", "dropout", "partition", "persons"), ctrgcn=("width", "dim", "dropout", "persons", "slots"),
    gru=("width", "layers", "dropout", "persons", "slots", "direction"), transformer=("width", "dim", "layers", "dropout", "persons"),
)


@pytest.mark.parametrize("name", HAS)
def test_every_option_reaches_its_encoder_and_no_other_is_taken(name):
    for option, value in OTHER.items():
        if option not in HAS[name]:
            with pytest.raises(InputError, match=f"backbone '{name}' has no option '{option}'"):
                Backbone(name, **{option: value})
            continue
        b = Backbone.from_dict(json.loads(json.dumps(Backbone(name, **{option: value}).to_dict())))
        assert b == Backbone(name, **{option: value}) and b.replace(**{option: None}) == Backbone(name)
        with torch.device("meta"):
            net, plain = b.make(SBU15), Backbone(name).make(SBU15)
        if option in ("persons", "dim", "slots", "direction"):
            assert getattr(net, option) == value
        elif option == "dropout":
            assert value in [m.p for m in net.modules() if hasattr(m, "p")]
        elif option == "partition":
            assert isinstance(net, STGCN) and len(net.blocks[0].graph.importance) == 1
        else:
            assert count_parameters(net) != count_parameters(plain)


@pytest.mark.parametrize("bad, sentence", [
    (dict(width=0), "whole number of at least 1, got 0"), (dict(width=16.0), "got 16.0"), (dict(width=True), "got True"),
    (dict(dropout=-0.1), "at least 0 and below 1, got -0.1"), (dict(dropout="no"), "got 'no'"),
    (dict(partition="hops"), "must be one of spatial"),
])
def test_bad_values_are_named(bad, sentence):
    with pytest.raises(InputError, match=sentence):
        Backbone(**bad)


def test_list_models_counts():
    table = list_models({k: MODELS[k] for k in ("stgcn16", "ctrgcn", "transformer")}, frames=16, classes=120)
    assert [r["parameters"] for r in table.rows] == [836_800 + 60 * 257, 1_461_942, 286_358 + 120 * 257]
    assert "| ctrgcn | 256 | 1,461,942 |" in table._repr_markdown_() and "ms per clip" not in table._repr_markdown_()


@pytest.mark.parametrize("frames", [4, 10])
def test_flops_of_the_transformer_by_hand(frames):
    V, m, w = 15, -(-frames // 4), 64
    layer = 2 * V * m * (2 * 4 * w * w + 8 * w * w) + 4 * w * (m * V * V + V * m * m)  # two attentions, MLP; pairs of joints, of moments
    assert count_flops(MODELS["transformer"], SBU15, frames) == 2 * V * m * 12 * w + 4 * layer + 2 * w * 256


def test_bench_rows(root):
    spec = importlib.util.spec_from_file_location("bench_encoder", root / "bench" / "encoder.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    assert {b.name for b, _ in bench.ROWS.values()} == {b.name for b in MODELS.values()}
    rows = list(bench.rows(["stgcn16 dim 128", "bigru width 128"], frames=2, batch=2))
    assert rows[0][-1] == 1.0 and all(r[1] > 0 and r[2] > 0 and r[3] > 0 for r in rows)
