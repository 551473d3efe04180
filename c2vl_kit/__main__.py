"""`python -m c2vl_kit` is the command `c2vl`."""

from runpy import run_module

if __name__ == "__main__":
    run_module("c2vl_kit.app.cli", run_name="__main__")
