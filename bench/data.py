"""How fast reading, storing and augmenting are, as ratios against a stated baseline measured in the same run.

    python bench/data.py [reading|store|augment ...] [--root FOLDER] [--clips 40000]

Each section prints one table. Baselines are written here, in the plainest form of what reference code does.
"""
import argparse


def reading(args):
    "Reading `.skeleton` files: the fast reader against a line-by-line dictionary reader."


def store(args):
    "A store of many NTU-shaped clips: time, peak memory, size, random access, kill -9."


def augment(args):
    "Batched augmentation against the per-sample numpy crop and shear of reference feeders."


SECTIONS = {"reading": reading, "store": store, "augment": augment}

if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="none: all")
    p.add_argument("--root", help="folder with NTU .skeleton files; none: invented ones")
    p.add_argument("--clips", type=int, default=40_000, help="clips in the store")
    args = p.parse_args()
    for section in args.sections or SECTIONS:
        SECTIONS[section](args)
