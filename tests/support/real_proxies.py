"""Starts real proxies on the loopback interface, each in a process of its own.

| proxy | speaks | TLS to itself | checks credentials |
|---|---|---|---|
| squid | HTTP | yes | yes |
| tinyproxy, proxy.py | HTTP | | yes |
| privoxy | HTTP | | |
| haproxy | the protocol of the squid behind it; on a unix socket, too | yes | squid does |
| nghttpx | HTTP, to the squid behind it | yes | squid does |
| mitmproxy | HTTP or SOCKS5; decrypts its tunnels | | yes |
| microsocks | SOCKS5 | | yes |
| dante | SOCKS4, SOCKS5 (it does not understand SOCKS4a) | | |
| tiny-proxy | SOCKS4, SOCKS4a | | user ids |

Rules: each starts when a test first needs it, and is stopped through its process handle. They run as root, too. A
missing proxy, or a missing proxy behind it, is reported (`programs`) before any file or process is created.
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


class ProxyProgram(NamedTuple):
    """A proxy's command and configuration, the templates for `real_servers.running_program`.

    They may contain `$folder` (the proxy's own), `$port`, `$certificate` (a PEM file with key and chain), `$authority`
    (a folder with the key and certificate of the authority), `$behind` (the port of the proxy behind it), `$listen`,
    which is replaced by `plain` or `secured`, and `$rights`, which is replaced by `open` or `locked`.
    """

    command: str
    configuration: str = ""
    plain: str = ""
    secured: str = ""
    """The value of `$listen` for TLS to the proxy."""
    open: str = ""
    locked: str = ""
    """The value of `$rights` that requires credentials."""
    package: str | None = None
    """The Python package that contains it."""


# squid, if started by root, runs its helpers as a user without access to the tests' files: this helper reads none.
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
    "squid": ProxyProgram(
        "squid -N -d 1 -n squid$port -f $folder/configuration",
        SQUID,
        plain="http_port 127.0.0.1:$port",
        secured="https_port 127.0.0.1:$port tls-cert=$certificate tls-key=$certificate",
        open="http_access allow all",
        locked=SQUID_RIGHTS,
    ),
    "tinyproxy": ProxyProgram(
        "tinyproxy -d -c $folder/configuration",
        "Listen 127.0.0.1\nPort $port\n$rights\n",
        locked=f"BasicAuth {USER} {PASSWORD}",
    ),
    "privoxy": ProxyProgram(
        "privoxy --no-daemon $folder/configuration",
        "listen-address 127.0.0.1:$port\nkeep-alive-timeout 60\ndebug 4096\n",
    ),
    "haproxy": ProxyProgram(
        "haproxy -db -f $folder/configuration",
        HAPROXY,
        plain="unix@$folder/socket",
        secured="127.0.0.1:$port ssl crt $certificate",
    ),
    "nghttpx": ProxyProgram(
        "nghttpx --http2-proxy --conf=/dev/null --single-process --workers=1 --no-ocsp "
        "--frontend=127.0.0.1,$port --backend=127.0.0.1,$behind $certificate $certificate"
    ),
    "mitmproxy": ProxyProgram(MITMPROXY + "regular", locked=f"--proxyauth {USER}:{PASSWORD}"),
    "mitmproxy-socks": ProxyProgram(MITMPROXY + "socks5", locked=f"--proxyauth {USER}:{PASSWORD}"),
    "proxy.py": ProxyProgram(
        "python -m proxy --num-workers 1 --num-acceptors 1 --hostname 127.0.0.1 --port $port $rights",
        locked=f"--basic-auth {USER}:{PASSWORD}",
        package="proxy",
    ),
    "microsocks": ProxyProgram(
        "microsocks -i 127.0.0.1 -p $port $rights", locked=f"-u {USER} -P {PASSWORD}"
    ),
    "dante": ProxyProgram("danted -f $folder/configuration -p $folder/pid", DANTE),
    "tiny-proxy": ProxyProgram(
        "python -m tests.support.socks4_server $port $rights", locked=USER, package="tiny_proxy"
    ),
}


class ProxySetup(NamedTuple):
    """A proxy with one of its configurations."""

    program: str
    """One of `PROGRAMS`."""
    schemes: tuple[str, ...]
    """The schemes of the URLs by which clients reach it."""
    locked: bool = False
    """Whether it requires `USER` and `PASSWORD`; in SOCKS4, `USER`."""
    behind: str | None = None
    """The name of the setup of the proxy behind it."""
    unix: bool = False
    """Whether it listens on a unix socket."""


SETUPS = {
    "squid": ProxySetup("squid", ("http",)),
    "squid-locked": ProxySetup("squid", ("http",), locked=True),
    "squid-tls": ProxySetup("squid", ("https",)),
    "squid-tls-locked": ProxySetup("squid", ("https",), locked=True),
    "tinyproxy": ProxySetup("tinyproxy", ("http",)),
    "tinyproxy-locked": ProxySetup("tinyproxy", ("http",), locked=True),
    "privoxy": ProxySetup("privoxy", ("http",)),
    "haproxy-unix": ProxySetup("haproxy", ("http",), behind="squid", unix=True),
    "haproxy-locked": ProxySetup("haproxy", ("https",), locked=True, behind="squid-locked"),
    "nghttpx-locked": ProxySetup("nghttpx", ("https",), locked=True, behind="squid-locked"),
    "mitmproxy": ProxySetup("mitmproxy", ("http",)),
    "mitmproxy-locked": ProxySetup("mitmproxy", ("http",), locked=True),
    "mitmproxy-socks": ProxySetup("mitmproxy-socks", ("socks5",)),
    "mitmproxy-socks-locked": ProxySetup("mitmproxy-socks", ("socks5",), locked=True),
    "proxy.py": ProxySetup("proxy.py", ("http",)),
    "proxy.py-locked": ProxySetup("proxy.py", ("http",), locked=True),
    "microsocks": ProxySetup("microsocks", ("socks5",)),
    "microsocks-locked": ProxySetup("microsocks", ("socks5h",), locked=True),
    "dante": ProxySetup("dante", ("socks4", "socks5", "socks5h")),
    "tiny-proxy": ProxySetup("tiny-proxy", ("socks4", "socks4a")),
    "tiny-proxy-locked": ProxySetup("tiny-proxy", ("socks4", "socks4a"), locked=True),
}


class Running(NamedTuple):
    """A running proxy."""

    folder: Path
    """Its files; `log` holds its output."""
    port: int
    """On 127.0.0.1, unless it listens on a unix socket."""

    @property
    def socket(self) -> Path:
        """Its unix socket."""
        return self.folder / "socket"


class Proxies:
    """The proxies. Each starts when a test first needs it; all are stopped together."""

    def __init__(
        self, make_folder: Callable[[str], Path], certificate: Path, authority: trustme.CA
    ) -> None:
        """Start nothing yet.

        Args:
            make_folder: makes a new empty folder, given a name.
            certificate: a PEM file with key and chain, for TLS to the proxies.
            authority: the certificate authority that the proxies trust, and with which mitmproxy issues certificates.
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
        """Start one of `SETUPS`, unless it runs, and return it."""
        if name not in self._proxies:
            self._proxies[name] = self._start(name)
        return self._proxies[name]

    def log(self, name: str) -> str:
        """Return the output of a proxy and of the proxy behind it."""
        behind = SETUPS[name].behind
        return (self[name].folder / "log").read_text() + (self.log(behind) if behind else "")

    def _start(self, name: str) -> Running:
        setup = SETUPS[name]
        program = PROGRAMS[setup.program]
        if program.package is not None and find_spec(program.package) is None:
            programs.missing(setup.program)
        real_servers.require_executable(program.command)
        behind = self[setup.behind].port if setup.behind else None
        proxy = Running(self._make_folder(name), unused_port())
        values = {
            "folder": proxy.folder,
            "port": proxy.port,
            "certificate": self._certificate,
            "authority": self._authority,
            "behind": behind,
        }
        listen = program.secured if "https" in setup.schemes else program.plain
        rights = program.locked if setup.locked else program.open
        values["listen"] = Template(listen).substitute(values)
        values["rights"] = Template(rights).substitute(values)
        address = proxy.socket if setup.unix else proxy.port
        program_context = real_servers.running_program(
            program.command, program.configuration, values, address
        )
        self._running.enter_context(program_context)
        return proxy
