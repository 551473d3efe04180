"""Every loss and its gradients against a naive double loop in float64, for many random shapes; the bank against a list."""

import random

import pytest
import torch
from torch import nn

from c2vl_kit.losses import contrastive as C
from c2vl_kit.losses import exchange as E
from c2vl_kit.losses import multimodal as M
from c2vl_kit.losses import soft_targets as S
from c2vl_kit.core import InputError

SEEDS = range(20)
TAUS = (0.07, 0.2, 0.5)


# --- the formulas, one number at a time ---------------------------------------------------------------------------------------


def cos(a, b):
    return (a * b).sum() / ((a * a).sum() * (b * b).sum()).sqrt()


def nearest(s, k):
    return sorted(range(len(s)), key=lambda i: -s[i].item())[:k]


def share(row, i):
    """Softmax of a list of numbers at place i."""
    e = [torch.exp(x) for x in row]
    return e[i] / sum(e)


def joined(parts):
    x = torch.cat([p / (p * p).sum().sqrt() for p in parts])
    return x / (x * x).sum().sqrt()


def naive_moco(z, key, queue, tau):
    rows = [[cos(z[i], key[i]) / tau] + [cos(z[i], m) / tau for m in queue] for i in range(len(z))]
    return sum(-torch.log(share(row, 0)) for row in rows) / len(z)


def naive_direction(own, s_u, s_v, tau, k, variant, context):
    """One clip: how view u learns from the k rows view v finds nearest."""
    mined, K = nearest(s_v, k), len(s_u)
    weighed = [s_u[i] * s_v[i] if context else s_u[i] for i in range(K)]
    if variant == "paper":
        e = [torch.exp(x / tau) for x in (own, *weighed)]
        return -torch.log((e[0] + sum(e[1 + i] for i in mined)) / sum(e))
    row = [x / tau for x in (own, *s_u, *(weighed if context else ()))]
    right = [0, *(1 + i for i in mined), *((1 + K + i for i in mined) if context else ())]
    return sum(-torch.log(share(row, p)) for p in right) / len(right)


def naive_exchange(z, keys, queues, tau, k, variant, context):
    total = 0.0
    for u in z:
        for v in z:
            if v != u:
                for i in range(len(z[u])):
                    s_u, s_v = ([cos(z[x][i], m) for m in queues[x]] for x in (u, v))
                    one = naive_direction(cos(z[u][i], keys[u][i]), s_u, s_v, tau, k, variant, context)
                    total = total + one / len(z[u]) / (len(z) - 1)
    return total


def naive_ikem(q, keys, queues, tau):
    n, size = len(next(iter(keys.values()))), len(next(iter(queues.values())))
    key = torch.stack([joined([keys[v][i] for v in q]) for i in range(n)])
    queue = torch.stack([joined([queues[v][i] for v in q]) for i in range(size)])
    return sum(naive_moco(q[v], key, queue, tau) for v in q)


def naive_distillation(students, teacher, queues, tau, k, queue_of):
    total = 0.0
    for s in students.values():
        for u in teacher:
            bank = queues[queue_of.get(u, u)]
            for i in range(len(s)):
                t = joined([x[i] for x in teacher.values()])
                mine = [cos(s[i], joined([queues[v][j] for v in teacher])) for j in range(len(bank))]
                theirs = [cos(teacher[u][i], m) for m in bank]
                total = total + naive_direction(cos(s[i], t), mine, theirs, tau, k, "repo", True) / len(s) / len(teacher)
    return total


def naive_fam(a, b, tau):
    total = 0.0
    for x, y in ((a, b), (b, a)):
        for i in range(len(x)):
            row = [cos(x[i], y[j]) / tau for j in range(len(x))] + [cos(x[i], x[j]) / tau for j in range(len(x)) if j != i]
            total = total - torch.log(share(row, i))
    return total / (2 * len(a))


def naive_pairs(a, b, tau):
    return sum(-torch.log(share([cos(x, y) / tau for y in b], i)) for i, x in enumerate(a)) / len(a)


def naive_soft(s, m, tau, alpha, c):
    """Soft targets of one modality with the opposite direction as consistency."""
    n, total = len(s), 0.0
    P = [[[share([cos(x, y) / tau for y in b], j) for j in range(n)] for x in a] for a, b in ((s, m), (m, s))]
    same = [[share([cos(x, y) / tau for y in m], j).detach() for j in range(n)] for x in m]
    for d in (0, 1):
        for i in range(n):
            for j in range(n):
                target = (1 - alpha) * (i == j) + alpha * (c.lam * same[i][j] + (1 - c.lam) * P[1 - d][i][j].detach())
                total = total + target * (torch.log(target) - torch.log(P[d][i][j])) / (2 * n)
    return total


def agree(fast, slow, learned):
    """Equal to 1e-6, gradients too; what is trained gets one from both."""
    assert fast.dtype == torch.float64 and abs((fast - slow).item()) < 1e-6
    for a, b in zip(torch.autograd.grad(fast, learned), torch.autograd.grad(slow, learned)):
        assert a.dtype == torch.float64 and (a - b).abs().max() < 1e-6


class Draw:
    """Random shapes and float64 matrices of any length, from one seed."""

    def __init__(self, seed):
        self.r, self.g = random.Random(seed), torch.Generator().manual_seed(seed)
        self.N, self.K, self.tau = self.r.randint(1, 3), self.r.randint(3, 6), self.r.choice(TAUS)
        self.dims = {v: self.r.randint(2, 5) for v in ("joint", "motion", "bone", "angular-velocity")[: self.r.randint(2, 4)]}

    def matrix(self, n, d, grad=False):
        lengths = 0.1 + 5 * torch.rand(n, 1, generator=self.g, dtype=torch.float64)
        return (lengths * torch.randn(n, d, generator=self.g, dtype=torch.float64)).requires_grad_(grad)

    def views(self, n, grad=False):
        return {v: self.matrix(n, d, grad) for v, d in self.dims.items()}


# --- every loss ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_pairs_and_soft_targets(seed):
    d = Draw(seed)
    s, m = (d.matrix(d.N + 1, 4, grad=True) for _ in range(2))
    agree(C.info_nce(s, m, d.tau), naive_pairs(s, m, d.tau), (s, m))
    agree(C.clip_loss(s, m, 1 / d.tau), (naive_pairs(s, m, d.tau) + naive_pairs(m, s, d.tau)) / 2, (s, m))
    alpha, c = d.r.uniform(0.1, 1), S.SoftTargetConfig(lam=d.r.uniform(0.1, 0.9))
    fast, _ = S.soft_target_loss({"l": s}, {"l": m.detach()}, 1 / d.tau, alpha, c)
    agree(fast, naive_soft(s, m.detach(), d.tau, alpha, c), (s,))


@pytest.mark.parametrize("seed", SEEDS)
def test_moco(seed):
    d = Draw(seed)
    z, key, queue = d.matrix(d.N, 4, grad=True), d.matrix(d.N, 4), d.matrix(d.K, 4)
    agree(C.moco_loss(z, key, queue, d.tau), naive_moco(z, key, queue, d.tau), (z,))
    assert torch.allclose(C.moco_terms(z, key, queue, d.tau).mean(), C.moco_loss(z, key, queue, d.tau))


@pytest.mark.parametrize("mined", ["none", "one", "several", "all"])
@pytest.mark.parametrize("variant", E.VARIANTS)
@pytest.mark.parametrize("context", [True, False])
def test_exchange(mined, variant, context):
    for seed in SEEDS:
        d = Draw(seed)
        k = {"none": 0, "one": 1, "several": 2, "all": d.K}[mined]
        z, keys, queues = d.views(d.N, grad=True), d.views(d.N), d.views(d.K)
        fast, parts = E.exchange_loss(z, keys, queues, d.tau, k, variant, context)
        agree(fast, naive_exchange(z, keys, queues, d.tau, k, variant, context), list(z.values()))
        assert len(parts) == len(z) * (len(z) - 1) and not any(p.requires_grad for p in parts.values())
        args = d.tau, k, variant, context
        single = [E.cross_view_loss(z[u], keys[u], queues[u], z[v], queues[v], *args) for u in z for v in z if u != v]
        assert abs((fast - sum(single) / (len(z) - 1)).item()) < 1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_cross_view_gradients(seed):
    d = Draw(seed)
    z, keys, queues, (u, v) = d.views(d.N, grad=True), d.views(d.N), d.views(d.K), list(d.dims)[:2]
    for variant in E.VARIANTS:
        for k in (0, 1, 3):
            fast = E.cross_view_loss(z[u], keys[u], queues[u], z[v], queues[v], d.tau, k, variant)
            slow = sum(
                naive_direction(cos(z[u][i], keys[u][i]), *([cos(z[x][i], m) for m in queues[x]] for x in (u, v)), d.tau, k, variant, True)
                for i in range(d.N)
            )
            agree(fast, slow / d.N, (z[u], z[v]))


@pytest.mark.parametrize("seed", SEEDS)
def test_ikem(seed):
    d = Draw(seed)
    keys, queues, width = d.views(d.N), d.views(d.K), sum(d.dims.values())
    q = {v: d.matrix(d.N, width, grad=True) for v in d.dims}
    fast, parts = E.ikem_loss(q, keys, queues, d.tau)
    agree(fast, naive_ikem(q, keys, queues, d.tau), list(q.values()))
    assert abs(sum(parts.values()).item() - fast.item()) < 1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_relations_and_distillation(seed):
    d = Draw(seed)
    teacher, queues, width = d.views(d.N), d.views(d.K), sum(d.dims.values())
    students = {a: d.matrix(d.N, width, grad=True) for a in ("joint", "motion", "bone")[: d.r.randint(1, 3)]}
    for k in (0, 1, d.K):
        fast, parts = E.distillation_loss(students, teacher, queues, d.tau, k)
        agree(fast, naive_distillation(students, teacher, queues, d.tau, k, {}), list(students.values()))
        t, queue_t = E.concept_key(teacher), E.concept_queue(queues)
        for name, part in parts.items():
            u, a = name.split(">")
            one = E.relational_loss(students[a], t, queue_t, teacher[u], queues[u], d.tau, k)
            assert abs((one - part).item()) < 1e-9


def test_published_slip_of_the_student_stage():
    """The angular velocity's similarities taken with the bank of the bones: the loop agrees, and only that relation changes."""
    d = Draw(0)
    d.dims = {"joint": 3, "bone": 4, "angular-velocity": 4}
    teacher, queues, slip = d.views(3), d.views(6), {"angular-velocity": "bone"}
    students = {"joint": d.matrix(3, 11, grad=True)}
    fast, wrong = E.distillation_loss(students, teacher, queues, 0.2, 1, slip)
    agree(fast, naive_distillation(students, teacher, queues, 0.2, 1, slip), list(students.values()))
    right = E.distillation_loss(students, teacher, queues, 0.2, 1)[1]
    assert [n for n in right if not torch.equal(right[n], wrong[n])] == ["angular-velocity>joint"]


@pytest.mark.parametrize("seed", SEEDS)
def test_alignment_and_refinement(seed):
    d = Draw(seed)
    a, b = (d.matrix(2 * (d.N + 1), 4, grad=True) for _ in range(2))
    agree(M.fam_loss(a, b, d.tau), naive_fam(a, b, d.tau), (a, b))
    halves = [naive_fam(x, y, d.tau) for x, y in zip(a.chunk(2), b.chunk(2))]
    agree(M.fam_loss(a, b, d.tau, replicas=2), sum(halves) / 2, (a, b))

    width, classes = d.r.randint(1, 4), d.r.randint(1, 5)
    torch.manual_seed(seed)
    refine = M.FeatureRefinement(width, classes, hidden=3).double()
    scores, f = d.matrix(d.N, classes, grad=True), d.matrix(d.N, width, grad=True)
    assert torch.allclose(refine(scores, f), scores)
    with torch.no_grad():
        for p in (refine.positive, refine.negative):
            p.normal_()
    slow, (one, two) = 0.0, (refine.mlp[0], refine.mlp[2])
    for i in range(d.N):
        hidden = torch.stack([torch.clamp((one.weight[j] * f[i]).sum() + one.bias[j], min=0) for j in range(3)])
        row = [(two.weight[j] * hidden).sum() + two.bias[j] for j in (0, 1)]
        for c in range(classes):
            slow = slow + ((share(row, 0) * refine.positive[c] + share(row, 1) * refine.negative[c]) * scores[i, c]) ** 2
    agree(refine(scores, f).square().sum(), slow, [scores, f, *refine.parameters()])


# --- the bank and the key network --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bank_holds_what_a_list_holds(seed):
    r, g = random.Random(seed), torch.Generator().manual_seed(seed)
    dims = {v: r.randint(1, 5) for v in ("joint", "rotation-axis", "bone")[: r.randint(1, 3)]}
    bank = C.MemoryBank(r.randint(1, 9), dims, torch.Generator().manual_seed(seed))
    twin, place = {v: [row.tolist() for row in bank[v]] for v in dims}, 0
    for _ in range(12):
        n = r.randint(1, bank.size)
        keys = {v: 3 * torch.randn(n, d, generator=g, dtype=r.choice((torch.float32, torch.float64))) for v, d in dims.items()}
        bank.push(keys)
        for i in range(n):
            for v in dims:
                twin[v][place] = (keys[v][i] / keys[v][i].norm()).tolist()
            place = (place + 1) % bank.size
        for v in dims:
            assert bank[v].dtype == torch.float32 and (bank[v] - torch.tensor(twin[v])).abs().max() < 1e-6
        assert bank.pointer.item() == place
    again = C.MemoryBank(bank.size, dims, torch.Generator().manual_seed(seed + 1))
    again.load_state_dict(bank.state_dict())
    for b in (bank, again):
        b.push(keys)
    assert all(torch.equal(bank[v], again[v]) for v in dims) and bank.views == tuple(dims) and list(bank.queues()) == list(dims)


def test_the_bank_starts_random_repeatable_and_of_length_one():
    one, two = (C.MemoryBank(64, {"joint": 8, "bone": 5}, torch.Generator().manual_seed(3)) for _ in range(2))
    for v in one.views:
        assert torch.equal(one[v], two[v]) and (one[v].norm(dim=1) - 1).abs().max() < 1e-6 and one[v].mean().abs() < 0.1
    assert not list(one.parameters()) and len(one.state_dict()) == 3


@pytest.mark.parametrize("size, dims", [(0, {"joint": 4}), (4, {}), (4, {"joint": 0})])
def test_impossible_banks_are_refused(size, dims):
    with pytest.raises(InputError, match="at least 1"):
        C.MemoryBank(size, dims)


def test_a_refused_push_leaves_the_bank_alone():
    bank = C.MemoryBank(5, {"joint": 4, "bone": 3})
    before = {k: v.clone() for k, v in bank.state_dict().items()}
    good = {"joint": torch.randn(2, 4), "bone": torch.randn(2, 3)}
    wrong = [{"joint": good["joint"]}, {**good, "motion": good["bone"]}]
    wrong += [{**good, "bone": torch.randn(3, 3)}, {**good, "bone": torch.randn(2, 4)}]
    wrong += [{v: x.repeat(3, 1) for v, x in good.items()}, {v: x[:0] for v, x in good.items()}, {v: x[0] for v, x in good.items()}, {}]
    for keys in wrong:
        with pytest.raises(InputError):
            bank.push(keys)
    assert all(torch.equal(before[k], v) for k, v in bank.state_dict().items())


def test_a_push_between_loss_and_backward_changes_no_gradient():
    bank, grads = C.MemoryBank(8, {"joint": 4, "bone": 4}, torch.Generator().manual_seed(0)), []
    for early in (False, True):
        torch.manual_seed(0)
        z = {v: torch.randn(3, 4, requires_grad=True) for v in bank.views}
        loss = E.exchange_loss(z, z, bank.queues())[0] + C.moco_loss(z["joint"], z["bone"], bank["joint"])
        if early:
            bank.push(z)
        loss.backward()
        grads.append(z["joint"].grad)
    assert torch.equal(*grads) and not bank["joint"].requires_grad


def test_keys_banks_and_teachers_are_constants():
    d = Draw(1)
    z, keys, queues = (d.views(n, grad=True) for n in (2, 2, 5))
    width = sum(d.dims.values())
    q = {v: d.matrix(2, width, grad=True) for v in d.dims}
    losses = [E.exchange_loss(z, keys, queues, variant=v)[0] for v in E.VARIANTS]
    (sum(losses) + E.ikem_loss(q, keys, queues)[0] + C.moco_loss(z["joint"], keys["joint"], queues["joint"])).backward()
    taught = d.views(2, grad=True)
    E.distillation_loss(q, taught, queues)[0].backward()
    assert all(x.grad is None for group in (keys, queues, taught) for x in group.values())
    assert all(x.grad is not None for group in (z, q) for x in group.values())


def test_the_key_network_averages_parameters_and_keeps_its_buffers():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3))
    key = C.key_copy(net)
    assert all(torch.equal(a, b) and a.data_ptr() != b.data_ptr() for a, b in zip(net.state_dict().values(), key.state_dict().values()))
    assert not any(p.requires_grad for p in key.parameters()) and all(p.requires_grad for p in net.parameters())
    running, want = key[1].running_mean.clone(), {n: p.detach().clone().double() for n, p in key.named_parameters()}
    for _ in range(5):
        with torch.no_grad():
            for p in net.parameters():
                p.normal_()
            net(torch.randn(8, 4))
        pointers = [p.data_ptr() for p in key.parameters()]
        C.ema_(key, net, 0.7)
        want = {n: 0.7 * w + 0.3 * net.get_parameter(n).detach().double() for n, w in want.items()}
        assert all((key.get_parameter(n) - w).abs().max() < 1e-6 for n, w in want.items())
        assert pointers == [p.data_ptr() for p in key.parameters()]
    assert torch.equal(key[1].running_mean, running) and not torch.equal(net[1].running_mean, running)
    C.ema_(key, net, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(key.parameters(), net.parameters()))


# --- what the losses promise -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("views", [2, 3, 6])
def test_every_similarity_is_computed_once(views, monkeypatch):
    counted, real = [], E.similarities
    monkeypatch.setattr(E, "similarities", lambda a, b: counted.append(1) or real(a, b))
    z, keys, queues = ({f"v{i}": torch.randn(n, 8) for i in range(views)} for n in (4, 4, 300))
    for variant in E.VARIANTS:
        counted.clear()
        fast, _ = E.exchange_loss(z, keys, queues, variant=variant)
        assert len(counted) == views
        slow = sum(E.cross_view_loss(z[u], keys[u], queues[u], z[v], queues[v], variant=variant) for u in z for v in z if u != v)
        assert fast.dtype == torch.float32 and abs((fast - slow / (views - 1)).item()) < 2e-6 * fast.item()
    counted.clear()
    E.distillation_loss({a: torch.randn(4, 8 * views) for a in "abc"}, z, queues)
    assert len(counted) == views + 3


def test_the_published_form_is_another_loss():
    """Log of a sum against a mean of logs: with all rows right the printed form is 0, the published one is not."""
    d = Draw(2)
    z, keys, queues = d.views(3), d.views(3), d.views(6)
    paper, repo = (E.exchange_loss(z, keys, queues, k=6, variant=v)[0].item() for v in E.VARIANTS)
    assert abs(paper) < 1e-9 and repo > 1
    plain = [E.exchange_loss(z, keys, queues, k=0, variant=v, context=False)[0].item() for v in E.VARIANTS]
    assert abs(plain[0] - plain[1]) < 1e-9


def test_orders_that_say_nothing():
    d = Draw(4)
    z, keys, queues = d.views(3), d.views(3), d.views(6)
    clips, rows = torch.randperm(3, generator=d.g), torch.randperm(6, generator=d.g)
    moved = [{v: x[o] for v, x in group.items()} for group, o in ((z, clips), (keys, clips), (queues, rows))]
    for variant in E.VARIANTS:
        assert torch.allclose(*(E.exchange_loss(*g, k=2, variant=variant)[0] for g in ((z, keys, queues), moved)))
        back = [dict(reversed(g.items())) for g in (z, keys, queues)]
        assert torch.allclose(*(E.exchange_loss(*g, k=2, variant=variant)[0] for g in ((z, keys, queues), back)))
    one = next(iter(d.dims))
    assert not torch.allclose(E.exchange_loss(z, keys, queues)[0], E.exchange_loss(z, keys, {**queues, one: queues[one][rows]})[0])


def test_joint_keys_have_length_one_and_mean_the_views():
    d = Draw(3)
    a, b = d.views(4), d.views(6)
    one, two = E.concept_key(a), E.concept_queue(b)
    assert torch.allclose(one.norm(dim=1), torch.ones(4).double()) and torch.allclose(one[0], joined([x[0] for x in a.values()]))
    assert torch.allclose(one @ two.T, sum(C.similarities(a[v], b[v]) for v in a) / len(a))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_halves_and_autocast_are_computed_in_float32(dtype):
    d = Draw(5)
    z, keys, queues = ({v: x.to(dtype).float() for v, x in d.views(n).items()} for n in (3, 3, 6))
    half = [{v: x.to(dtype) for v, x in group.items()} for group in (z, keys)]
    with torch.autocast("cpu", torch.bfloat16):
        for variant in E.VARIANTS:
            got, want = E.exchange_loss(*half, queues, variant=variant)[0], E.exchange_loss(z, keys, queues, variant=variant)[0]
            assert got.dtype == torch.float32 and abs((got - want).item()) < 1e-5
        one = next(iter(d.dims))
        got, want = C.moco_loss(half[0][one], half[1][one], queues[one]), C.moco_loss(z[one], keys[one], queues[one])
        assert got.dtype == torch.float32 and abs((got - want).item()) < 1e-5


def test_float64_queries_with_a_float32_bank():
    d = Draw(6)
    z, keys, bank = d.views(2), d.views(2), C.MemoryBank(5, d.dims)
    q = {v: d.matrix(2, sum(d.dims.values())) for v in d.dims}
    banks = bank.queues()
    losses = [E.exchange_loss(z, keys, banks)[0], E.ikem_loss(q, keys, banks)[0], E.distillation_loss(q, z, banks)[0]]
    assert all(x.dtype == torch.float64 for x in [*losses, C.moco_loss(z["joint"], keys["joint"], bank["joint"])])


def test_extreme_vectors_stay_finite():
    eye = torch.eye(4)
    for sign in (1, -1):
        z = {v: (1e4 * sign * eye).requires_grad_() for v in ("joint", "bone")}
        loss = sum(E.exchange_loss(z, {v: eye for v in z}, {v: eye for v in z}, 0.01, 2, variant)[0] for variant in E.VARIANTS)
        loss = loss + M.fam_loss(z["joint"], eye, 0.01) + C.moco_loss(z["bone"], eye, eye, 0.01)
        loss.backward()
        assert loss.isfinite() and all(x.grad.isfinite().all() for x in z.values())


def test_wrong_inputs_are_named():
    d = Draw(7)
    z, keys, queues = d.views(2), d.views(2), d.views(5)
    alone = [{"joint": x["joint"]} for x in (z, keys, queues)]
    cases = [
        (lambda: E.exchange_loss(*alone), "at least 2 views, got joint"),
        (lambda: E.exchange_loss(z, keys, {**queues, "rgb": queues["joint"]}), "same views"),
        (lambda: E.exchange_loss(z, keys, queues, k=6), "between 0 and the 5 keys"),
        (lambda: E.exchange_loss(z, keys, queues, k=-1), "between 0 and the 5 keys"),
        (lambda: E.exchange_loss(z, keys, queues, tau=float("nan")), "above 0, got nan"),
        (lambda: E.exchange_loss(z, keys, queues, variant="code"), "one of paper, repo"),
        (lambda: E.exchange_loss(z, {v: x[:1] for v, x in keys.items()}, queues), "one shape"),
        (lambda: E.ikem_loss(z, keys, queues), "joint: a guess at the joint key must be"),
        (lambda: E.distillation_loss({}, z, queues), "at least one student"),
        (lambda: E.distillation_loss({"a": z["joint"]}, z, queues), "a: queries .* of one width"),
        (lambda: E.concept_key({}), "got none"),
        (lambda: M.fam_loss(z["joint"][:1], z["joint"][:1]), "at least 2 clips"),
        (lambda: M.FeatureRefinement(2, 120)(torch.randn(2, 60), torch.randn(2, 2)), r"scores \(N, 120\) and features \(N, 2\) are needed"),
        (lambda: C.moco_loss(z["joint"], keys["joint"], torch.randn(5, 9)), "one width d"),
        (lambda: C.ema_(nn.Linear(2, 3), nn.Linear(3, 3), 0.9), "differ at 'weight'"),
    ]
    for call, words in cases:
        with pytest.raises(InputError, match=words):
            call()
