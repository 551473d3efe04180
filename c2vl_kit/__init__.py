"""Teach a 3D-skeleton encoder from vision and language.

The names that a first hour needs are here: `from c2vl_kit import Store, pretrain, evaluate`. A name brings its module in
when it is first used, so `import c2vl_kit` stays light. Everything else lives in the floors: `c2vl_kit.data`, `c2vl_kit.viz` …
"""

from importlib import import_module

__version__ = "0.1.0"

# name → module that defines it; this file is written by hand
NAMES = {
    "Clip": "skeleton",
    "Layout": "skeleton",
    "InputError": "core",
    "Store": "data.store",
    "build_store": "data.build",
    "get_dataset": "data.catalog",
    "prepare": "data.prepare",
    "get_split": "data.catalog",
    "simulate": "data.simulate",
    "SimulatorConfig": "data.simulate",
    "PromptStore": "concepts.prompts",
    "caption": "concepts.kinematic",
    "TextTower": "concepts.towers",
    "ImageTower": "concepts.towers",
    "EmbeddingCache": "concepts.cache",
    "ConceptSpace": "concepts.space",
    "embed": "concepts.space",
    "C2VLConfig": "methods.c2vl",
    "pretrain": "train.pretrain",
    "Run": "train.runs",
    "RunView": "train.runview",
    "load_encoder": "train.runview",
    "extract": "evaluate.features",
    "SkeletonPlayer": "viz.player",
    "ConceptMap": "viz.concept_map",
    "SoftTargetHeatmap": "viz.soft_targets",
    "Explorer": "viz.explorer",
    "LiveView": "viz.live",
    "compare_runs": "viz.live",
    "report": "viz.report",
}
# the folders; `evaluate` is one that can also be called
FLOORS = ("app", "concepts", "data", "evaluate", "losses", "methods", "models", "readers", "train", "viz")
__all__ = [*NAMES, "evaluate"]  # noqa: PLE0604, PLE0605  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name in FLOORS:
        return import_module(f"{__name__}.{name}")
    if name in NAMES:
        value = getattr(import_module(f"{__name__}.{NAMES[name]}"), name)
        globals()[name] = value  # the next look-up finds it at once
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*NAMES, *FLOORS, "__version__", "__doc__"})
