"""The family on real recordings: every method with one encoder, one input and one budget, and what of the papers' claims is left.

    python bench/family.py --data nw-ucla --root path/nw_ucla      (the same as: c2vl bench family --data nw-ucla --root path/nw_ucla)

Resumable: finished jobs are not done again, stopped ones go on from their last checkpoint. Every figure stands in
OUT/jobs/<member>-s<seed>/results.json; OUT/table.md and OUT/table.json are made from those files.
"""
import argparse
import json
import sys

from c2vl_kit.app.family import FOLDS_BY, family
from c2vl_kit.app.members import MEMBERS, FamilyConfig
from c2vl_kit.core import InputError


def settings(args) -> FamilyConfig:
    "The defaults, the budget and --set KEY=VALUE."
    config = FamilyConfig(folds_by=FOLDS_BY.get(args.data))
    if args.budget is not None:
        config = config.replace(budget=args.budget)
    for text in args.set:
        key, _, value = text.partition("=")
        try:
            value = json.loads(value)
        except ValueError:
            pass
        config = config.replace(**{key: checked(key, value)})
    return config


def checked(key: str, value):
    "The value of a setting; InputError where it is not of the kind of its default."
    if not hasattr(FamilyConfig(), key):
        return value  # replace says which settings there are
    default = getattr(FamilyConfig(), key)
    kinds = {float: (int, float), type(None): (str, type(None))}.get(type(default), type(default))
    if isinstance(value, bool) or not isinstance(value, kinds):
        like = "a word" if default is None else f"of the kind of {default!r}"
        raise InputError(f"{key} must be {like}, got {value!r}: give it as --set {key}=VALUE")
    return value


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", default="nw-ucla", help="catalogue name: nw-ucla or utd-mhad, or simulated")
    p.add_argument("--root", help="folder with the raw recordings")
    p.add_argument("--out", help="folder of the table (default runs/family-DATA)")
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--budget", type=int, help="epochs of C2VL; the others get as many (--set equal=cost: as much work)")
    p.add_argument("--members", help=f"comma separated; default all: {','.join(MEMBERS)}")
    p.add_argument("--workers", type=int, default=2, help="processes side by side, one core each; 0: this process")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting, e.g. amp=off or lr=0.001")
    args = p.parse_args()
    members = args.members.split(",") if args.members else None
    table = family(args.data, args.root, args.out, args.seeds, settings(args), members, args.workers, lambda line: print(line, flush=True))
    print(f"\n{table._repr_markdown_()}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as why:
        print(f"family: {why}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("family: stopped; the same command goes on from what is done.", file=sys.stderr)
        sys.exit(130)
