"""The trace of an answer as a tree on the page, down to the files, whose digests are computed anew."""

from html import escape
from typing import Any

import streamlit as st

from mlops_assets.lineage.trace import NotFound, Origin, Trace, trace
from mlops_assets.playground.endpoints import resources
from workloads.sdk.errors import Unavailable

PATIENCE = 4.0  # seconds until the log, which is written in the background, must hold an answer
MOST_FILES = 20  # of one data version that are listed
STYLE = """<style>
ul.tree, ul.tree ul {list-style: none; margin: 0; padding: 0}
ul.tree ul {margin-left: .3rem; padding-left: .75rem; border-left: 1px solid rgba(128,136,149,.35)}
ul.tree li {margin: 0; padding: .14rem 0; line-height: 1.45; font-size: .88rem; overflow-wrap: anywhere}
ul.tree b {font-weight: 600} ul.tree .kind {opacity: .6; margin-right: .5rem}
ul.tree .more {opacity: .65; font-size: .82rem} ul.tree code {font-size: .78rem; opacity: .8}
ul.tree .good {color: #009E73} ul.tree .bad {color: #D55E00; font-weight: 600}
ul.tree a {color: inherit}
</style>"""


def show(prediction: str) -> None:
    """Follow a prediction and draw what was found; kept, so that the page's other widgets do not do it again."""
    st.caption("where this answer came from")
    key = f"trace of {prediction}"
    if key not in st.session_state:
        with st.spinner("following the ids, and hashing the files again"):
            try:
                found = trace(prediction, resources(), PATIENCE)
                st.session_state[key] = html(found, resources().settings.dagster)
            except (NotFound, Unavailable) as error:
                st.warning(str(error))
                return
    st.html(st.session_state[key])


def html(found: Trace, dagster: str) -> str:
    """A trace as nested lists; every value is escaped."""
    live = "live" if found.endpoint["live"] else "not live"
    if found.parts:
        parts = "".join(_origin(part, role.replace("_", " "), dagster) for role, part in found.parts.items())
        below = _released(found.release, live, parts)
    else:
        below = _origin(found, "model", dagster, live)
    plan = f"plan {found.endpoint['plan']}" if found.endpoint["plan"] else "this version was asked for"
    cited = "".join(_item("cites", chunk["path"], chunk["heading"], chunk["id"]) for chunk in found.chunks)
    below = cited + _item("endpoint", found.endpoint["name"], plan, below=below)
    at = f"{found.prediction['at']:%Y-%m-%d %H:%M:%S %Z}"
    return f'{STYLE}<ul class="tree">{_item("prediction", found.prediction["id"], at, below=below)}</ul>'


def _origin(found: Origin, kind: str, dagster: str, live: str = "") -> str:
    """Where a candidate came from; `kind` says what it is."""
    run, code, data = found.run, found.code, found.data
    listed = sorted(found.files, key=lambda file: file.intact)  # what is not as it was comes first
    files = "".join(_file(file.path, file.sha256, file.actual) for file in listed[:MOST_FILES])
    if more := listed[MOST_FILES:]:
        changed = sum(not file.intact for file in more)
        files += (
            f'<li class="more">and {len(more)} more, {f"{changed} of them changed" if changed else "as they were"}</li>'
        )
    moved = _bad(" the tag was moved or removed since") if data["tag_stands"] is False else ""
    tag = _item("data", data["tag"], f"source {data['source']}, digest", data["digest"], files, moved)
    dirty = "with uncommitted changes, digest" if code["dirty"] else "digest"
    commit = _item("code", code["commit"][:12] or "not in Git", dirty, code["digest"])
    links = f" {_link(run['url'], 'MLflow')}" if run["url"] else ""
    links += f" {_link(f'{dagster}/runs/' + run['dagster'], 'Dagster')}"
    below = "".join(_file(file.path, file.sha256, file.actual) for file in found.artifacts if not file.intact)
    below += "".join(f"<li>{_bad('✗')} {escape(text)}</li>" for text in found.gone)
    below += _item("run", run["mlflow"], below=commit + tag, links=links)
    return _released(found.release, live, _item(kind, found.model["uri"], "digest", found.model["digest"], below))


def _released(release: dict[str, Any] | None, live: str, below: str) -> str:
    """A release with what it released; that alone where a version was asked for that was never released."""
    if release is None:
        return below
    decided = f"{release['action']} by {release['actor']}: {release['why']}"
    return _item("release", f"{release['thing']} {release['version']}", f"{live}; {decided}".strip("; "), below=below)


def _item(kind: str, name: Any, more: str = "", digest: str | None = None, below: str = "", links: str = "") -> str:
    """An item of the tree; `below` and `links` are HTML already."""
    text = f'<span class="kind">{kind}</span><b>{escape(str(name))}</b>'
    text += f' <span class="more">{escape(more)}</span>' if more else ""
    text += f" <code>{escape(digest[:16])}</code>" if digest else ""
    return f"<li>{text}{links}{f'<ul>{below}</ul>' if below else ''}</li>"


def _file(path: str, expected: str, actual: str | None) -> str:
    short = f'<code title="SHA-256">{escape(expected[:16])}</code>'
    if actual == expected:
        return f'<li><span class="good">✓</span> {escape(path)} {short}</li>'
    now = f"is {actual[:16]} now" if actual else "is not there"
    return f"<li>{_bad('✗')} {escape(path)} was {short} {_bad(now)}</li>"


def _bad(text: str) -> str:
    return f'<span class="bad">{escape(text)}</span>'


def _link(url: str, text: str) -> str:
    return f'<a class="more" href="{escape(url, quote=True)}" target="_blank" rel="noopener">{escape(text)}</a>'
