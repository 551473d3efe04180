"""A live widget without Jupyter: the browser runs the widget's own module, and a comm of a few lines carries its state to and from Python.

    live = Live(page, widget, tmp_path)      # draws it
    live.flush()                             # hands the browser what Python has changed since
"""

import base64

COMM = """
window.opened = (async () => {
  const state = await window.comm("open", {});
  const open = (v) => (v && v.$b64 !== undefined ? new DataView(Uint8Array.from(atob(v.$b64), (c) => c.charCodeAt(0)).buffer) : v);
  const values = Object.fromEntries(Object.entries(state.values).map(([k, v]) => [k, open(v)])), heard = new Map(), changed = new Set();
  const set = (k, v) => { if (values[k] === v) return; values[k] = v; for (const fn of heard.get("change:" + k) ?? []) fn(); };
  const model = {
    get: (k) => values[k], set(k, v) { changed.add(k); set(k, v); }, send() {},
    save_changes() { const out = {}; for (const k of changed) out[k] = values[k]; changed.clear(); window.comm("save", out); },
    on(name, fn) { heard.set(name, [...(heard.get(name) ?? []), fn]); },\
 off(name, fn) { heard.set(name, (heard.get(name) ?? []).filter((f) => f !== fn)); },
  };
  window.fromPython = (change) => {
    for (const [k, v] of Object.entries(change)) values[k] = open(v);
    for (const k of Object.keys(change)) for (const fn of heard.get("change:" + k) ?? []) fn();
  };
  const module = await import(URL.createObjectURL(new Blob([state.module], { type: "text/javascript" })));
  const el = document.getElementById("widget");
  el.c2vlModel = model;
  module.default.render({ model, el });
  return true;
})();
"""


def plain(value):
    return {"$b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


class Live:
    def __init__(self, page, widget, folder):
        self.page, self.widget, self.waiting, self.hearing = page, widget, {}, False
        self.names = [name for name in widget.keys if not name.startswith("_") and name not in ("layout", "tabbable", "tooltip", "comm")]
        widget.observe(self._changed, self.names)
        page.expose_function("comm", self._comm)
        file = folder / "live.html"
        file.write_text(f'<!doctype html><meta charset="utf-8"><style>{widget._css}</style><body>'
                        f'<div id="widget" data-c2vl-widget="live"></div><script>{COMM}</script>', encoding="utf-8")
        page.goto(file.as_uri())
        assert page.evaluate("() => window.opened")

    def _comm(self, what, change):
        if what == "open":
            return {"module": str(self.widget._esm), "values": {name: plain(getattr(self.widget, name)) for name in self.names}}
        self.hearing = True
        self.widget.set_state(change)
        self.hearing = False
        return None

    def _changed(self, change):
        if not self.hearing or change["name"].startswith("fetched"):
            self.waiting[change["name"]] = plain(change["new"])

    def flush(self):
        self.page.wait_for_timeout(30)
        waiting, self.waiting = self.waiting, {}
        if waiting:
            self.page.evaluate("(change) => window.fromPython(change)", waiting)
