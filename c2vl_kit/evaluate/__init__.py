"""What a run is worth: features, probes, fusion. The floor itself can be called: `c2vl_kit.evaluate(run, store, split)`.

A function of that name beside the folder of that name would be hidden by it as soon as one of its modules is imported.
"""

import sys
from importlib import import_module
from types import ModuleType


class CallableFloor(ModuleType):
    def __call__(self, *args, **kwargs):
        """Judges a pre-trained run: `c2vl_kit.evaluate.probes.evaluate` with the same arguments."""
        return import_module(f"{__name__}.probes").evaluate(*args, **kwargs)


sys.modules[__name__].__class__ = CallableFloor
