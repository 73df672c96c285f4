"""Real proxies on the loopback interface, each a process of its own.

| proxy | speaks | TLS to itself | checks credentials |
|---|---|---|---|
| squid | HTTP | yes | yes |
| tinyproxy, proxy.py | HTTP | | yes |
| privoxy | HTTP | | |
| haproxy | whatever the squid behind it does; on a unix socket, too | yes | squid does |
| nghttpx | HTTP, to the squid behind it | yes | squid does |
| mitmproxy | HTTP or SOCKS5; reads what goes through its tunnels | | yes |
| microsocks | SOCKS5 | | yes |
| dante | SOCKS4, SOCKS5 (it takes the names of SOCKS4a for odd addresses) | | |
| tiny-proxy | SOCKS4, SOCKS4a | | user ids |

Rules: each is started when it is first asked for, and stopped through its handle. They run for root as for others.
Whether one is installed, with the proxy behind it, is found out before anything is made (`programs`).
Must not know: httpcore2.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import trustme

from . import programs, real_servers
from .scripted_servers import unused_port

USER = "user"
PASSWORD = "s3cret-word"  # tinyproxy takes no more than letters, digits and hyphens


class Program(NamedTuple):
    """A proxy's command and configuration, as `real_servers.launched` takes them.

    They name `$folder`, its own, `$port`, `$certificate`, a PEM file with key and chain, `$authority`, a folder with
    the key and certificate of the authority, and `$behind`, the port of the proxy behind it. `$listen` stands for
    `plain` or `secured`, `$rights` for `open` or `locked`.
    """

    command: str
    configuration: str = ""
    plain: str = ""
    secured: str = ""
    """What differs where it is spoken to over TLS."""
    open: str = ""
    locked: str = ""
    """What makes it ask for credentials."""
    package: str | None = None
    """The Python package that it is in."""


# Root's squid runs its helpers as somebody who may read none of our files: this one reads none.
SQUID = """
$listen
$rights
access_log none
cache deny all
cache_log /dev/null
cache_mem 0
coredump_dir none
netdb_filename none
pid_filename none
pinger_enable off
visible_hostname squid.test
"""

SQUID_RIGHTS = f"""
auth_param basic program /bin/sed -u s/^{USER}.{PASSWORD}$$/OK/;t;s/.*/ERR/
auth_param basic children 1 startup=0 idle=1
acl known proxy_auth REQUIRED
http_access allow known
"""

HAPROXY = """
global
    nbthread 1
defaults
    mode tcp
    timeout connect 60s
    timeout client 60s
    timeout server 60s
listen proxy
    bind $listen
    server squid 127.0.0.1:$behind
"""

DANTE = f"""
logoutput: stderr
internal: 127.0.0.1 port = $port
external: lo
clientmethod: none
socksmethod: none
{"user.privileged: root" if os.geteuid() == 0 else ""}
{"user.unprivileged: nobody" if os.geteuid() == 0 else ""}
client pass {{ from: 0/0 to: 0/0 }}
socks pass {{ from: 0/0 to: 0/0 log: connect error }}
"""

MITMPROXY = (
    "mitmdump --listen-host 127.0.0.1 --listen-port $port $rights --set confdir=$authority "
    "--set ssl_verify_upstream_trusted_ca=$authority/mitmproxy-ca.pem --mode "
)

PROGRAMS = {
    "squid": Program(
        "squid -N -d 1 -n squid$port -f $folder/configuration",
        SQUID,
        plain="http_port 127.0.0.1:$port",
        secured="https_port 127.0.0.1:$port tls-cert=$certificate tls-key=$certificate",
        open="http_access allow all",
        locked=SQUID_RIGHTS,
    ),
    "tinyproxy": Program(
        "tinyproxy -d -c $folder/configuration",
        "Listen 127.0.0.1\nPort $port\n$rights\n",
        locked=f"BasicAuth {USER} {PASSWORD}",
    ),
    "privoxy": Program(
        "privoxy --no-daemon $folder/configuration",
        "listen-address 127.0.0.1:$port\nkeep-alive-timeout 60\ndebug 4096\n",
    ),
    "haproxy": Program(
        "haproxy -db -f $folder/configuration",
        HAPROXY,
        plain="unix@$folder/socket",
        secured="127.0.0.1:$port ssl crt $certificate",
    ),
    "nghttpx": Program(
        "nghttpx --http2-proxy --conf=/dev/null --single-process --workers=1 --no-ocsp "
        "--frontend=127.0.0.1,$port --backend=127.0.0.1,$behind $certificate $certificate"
    ),
    "mitmproxy": Program(MITMPROXY + "regular", locked=f"--proxyauth {USER}:{PASSWORD}"),
    "mitmproxy-socks": Program(MITMPROXY + "socks5", locked=f"--proxyauth {USER}:{PASSWORD}"),
    "proxy.py": Program(
        "python -m proxy --num-workers 1 --num-acceptors 1 --hostname 127.0.0.1 --port $port $rights",
        locked=f"--basic-auth {USER}:{PASSWORD}",
        package="proxy",
    ),
    "microsocks": Program(
        "microsocks -i 127.0.0.1 -p $port $rights", locked=f"-u {USER} -P {PASSWORD}"
    ),
    "dante": Program("danted -f $folder/configuration -p $folder/pid", DANTE),
    "tiny-proxy": Program(
        "python -m tests.support.socks4_server $port $rights", locked=USER, package="tiny_proxy"
    ),
}


class Kind(NamedTuple):
    """A proxy, set up in one way."""

    program: str
    """One of `PROGRAMS`."""
    schemes: tuple[str, ...]
    """Of the URLs that lead to it."""
    locked: bool = False
    """Whether it asks for `USER` and `PASSWORD`; in SOCKS4, for `USER`."""
    behind: str | None = None
    """The kind of the proxy behind it."""
    unix: bool = False
    """Whether it listens on a unix socket."""


KINDS = {
    "squid": Kind("squid", ("http",)),
    "squid-locked": Kind("squid", ("http",), locked=True),
    "squid-tls": Kind("squid", ("https",)),
    "squid-tls-locked": Kind("squid", ("https",), locked=True),
    "tinyproxy": Kind("tinyproxy", ("http",)),
    "tinyproxy-locked": Kind("tinyproxy", ("http",), locked=True),
    "privoxy": Kind("privoxy", ("http",)),
    "haproxy-unix": Kind("haproxy", ("http",), behind="squid", unix=True),
    "haproxy-locked": Kind("haproxy", ("https",), locked=True, behind="squid-locked"),
    "nghttpx-locked": Kind("nghttpx", ("https",), locked=True, behind="squid-locked"),
    "mitmproxy": Kind("mitmproxy", ("http",)),
    "mitmproxy-locked": Kind("mitmproxy", ("http",), locked=True),
    "mitmproxy-socks": Kind("mitmproxy-socks", ("socks5",)),
    "mitmproxy-socks-locked": Kind("mitmproxy-socks", ("socks5",), locked=True),
    "proxy.py": Kind("proxy.py", ("http",)),
    "proxy.py-locked": Kind("proxy.py", ("http",), locked=True),
    "microsocks": Kind("microsocks", ("socks5",)),
    "microsocks-locked": Kind("microsocks", ("socks5h",), locked=True),
    "dante": Kind("dante", ("socks4", "socks5", "socks5h")),
    "tiny-proxy": Kind("tiny-proxy", ("socks4", "socks4a")),
    "tiny-proxy-locked": Kind("tiny-proxy", ("socks4", "socks4a"), locked=True),
}


class Running(NamedTuple):
    """A proxy that runs."""

    folder: Path
    """Its files, and what it says, in `log`."""
    port: int
    """On 127.0.0.1, unless it listens on a unix socket."""

    @property
    def socket(self) -> Path:
        """Its unix socket."""
        return self.folder / "socket"


class Proxies:
    """The proxies, started when they are first asked for, and stopped together."""

    def __init__(
        self, make_folder: Callable[[str], Path], certificate: Path, authority: trustme.CA
    ) -> None:
        """Start nothing yet.

        Args:
            make_folder: makes an empty folder, given a name; another one each time.
            certificate: a PEM file with key and chain, for TLS to the proxies.
            authority: whom the proxies trust, and in whose name mitmproxy speaks for origins.
        """
        self._make_folder = make_folder
        self._certificate = certificate
        self._authority = make_folder("authority")
        for blob in (authority.private_key_pem, authority.cert_pem):
            blob.write_to_path(self._authority / "mitmproxy-ca.pem", append=True)
        self._proxies: dict[str, Running] = {}
        self._running = ExitStack()

    def __enter__(self) -> Proxies:
        return self

    def __exit__(self, *details: Any) -> None:
        self._running.__exit__(*details)

    def __getitem__(self, name: str) -> Running:
        """Return one of `KINDS`, that runs."""
        if name not in self._proxies:
            self._proxies[name] = self._start(name)
        return self._proxies[name]

    def log(self, name: str) -> str:
        """Return what it has said, and the proxy behind it."""
        behind = KINDS[name].behind
        return (self[name].folder / "log").read_text() + (self.log(behind) if behind else "")

    def _start(self, name: str) -> Running:
        kind = KINDS[name]
        program = PROGRAMS[kind.program]
        if program.package is not None and find_spec(program.package) is None:
            programs.missing(kind.program)
        real_servers.executable(program.command)
        behind = self[kind.behind].port if kind.behind else None
        proxy = Running(self._make_folder(name), unused_port())
        values = {
            "folder": proxy.folder,
            "port": proxy.port,
            "certificate": self._certificate,
            "authority": self._authority,
            "behind": behind,
        }
        listen = program.secured if "https" in kind.schemes else program.plain
        rights = program.locked if kind.locked else program.open
        values["listen"] = Template(listen).substitute(values)
        values["rights"] = Template(rights).substitute(values)
        door = proxy.socket if kind.unix else proxy.port
        launched = real_servers.launched(program.command, program.configuration, values, door)
        self._running.enter_context(launched)
        return proxy
