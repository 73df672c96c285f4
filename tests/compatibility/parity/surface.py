"""Facts about the public surface of the installed `httpcore2`: names, signatures, types and representations.

It runs in an environment with either release. It inspects objects; `runner` sends requests.
Must not know: which release is installed.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import trustme

Facts = dict[str, dict[str, str]]
"""Texts by section and item."""

# Imported by name, so that a type checker does not miss names that one of the releases lacks.
httpcore2: Any = importlib.import_module("httpcore2")

NAMES: list[str] = sorted(httpcore2.__all__)
_NOT_MEMBERS = {
    "__abstractmethods__",
    "__annotations__",
    "__class__",
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__init_subclass__",
    "__module__",
    "__slots__",
    "__static_attributes__",
    "__subclasshook__",
    "__weakref__",
}


def collect() -> Facts:
    return {
        "Names": dict(_names()),
        "Base classes": dict(_bases()),
        "Members": dict(_members()),
        "Signatures": dict(_signatures()),
        "Types": dict(_types()),
        "Attributes": dict(_attributes()),
        "Representations": dict(_representations()),
        "Exceptions": dict(_exceptions()),
        "Default TLS context": dict(_tls()),
        "Use and misuse": dict(_uses()),
        "Private modules": dict(_places()),
    }


def _places() -> Iterator[tuple[str, str]]:
    """Yield the classes, functions and constants of private modules, which others import or patch all the same."""
    for found in pkgutil.walk_packages(httpcore2.__path__, "httpcore2."):
        module = importlib.import_module(found.name)
        for name in getattr(module, "__all__", None) or _defined(module):
            yield f"{found.name.partition('.')[2]}: {name}", "there"


def _defined(module: ModuleType) -> Iterator[str]:
    """Yield the names that the module defines itself."""
    for statement in ast.parse(Path(module.__file__ or "").read_text()).body:
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield statement.name
        elif isinstance(statement, ast.Assign):
            names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
            yield from (name for name in names if name not in ("T", "__getattr__", "logger"))


def _names() -> Iterator[tuple[str, str]]:
    for name in NAMES:
        value = getattr(httpcore2, name)
        if inspect.isclass(value):
            yield name, f"class of the module {value.__module__}"
        elif inspect.isfunction(value):
            yield name, f"function of the module {value.__module__}"
        else:
            yield name, str(value)


def _classes() -> Iterator[tuple[str, type]]:
    for name in NAMES:
        value = getattr(httpcore2, name)
        if inspect.isclass(value):
            yield name, value


def _bases() -> Iterator[tuple[str, str]]:
    """Yield the base classes that are public."""
    for name, cls in _classes():
        bases = [
            base.__name__
            for base in cls.__mro__[1:]
            if base.__name__ in NAMES or base.__module__ == "builtins"
        ]
        yield name, ", ".join(bases)


def _class_members() -> Iterator[tuple[str, str, Any]]:
    """Yield class, name and value of each member that is not inherited from a builtin."""
    for name, cls in _classes():
        for key in dir(cls):
            is_special = key.startswith("__") and key.endswith("__")
            if key in _NOT_MEMBERS or (key.startswith("_") and not is_special):
                continue
            # An enum has some from its metaclass.
            owner = next((base for base in cls.__mro__ if key in base.__dict__), type(cls))
            if owner.__module__ not in ("builtins", "enum"):
                yield name, key, inspect.getattr_static(cls, key)


def _functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in NAMES:
        value = getattr(httpcore2, name)
        if inspect.isfunction(value):
            yield name, value
    for name, key, value in _class_members():
        function = value.fget if isinstance(value, property) else value
        if inspect.isfunction(function):
            yield f"{name}.{key}", function


def _members() -> Iterator[tuple[str, str]]:
    for name, key, value in _class_members():
        if isinstance(value, property):
            what = "property"
        elif inspect.ismemberdescriptor(value):
            continue  # a slot: `_attributes` yields the attributes of objects
        elif not inspect.isfunction(value):
            what = str(value) if isinstance(value, int) else type(value).__name__
        else:
            function = inspect.unwrap(value)
            what = "coroutine function" if inspect.iscoroutinefunction(function) else "function"
            if function is not value:
                what += " that returns a context manager"
        yield f"{name}.{key}", what


def _signatures() -> Iterator[tuple[str, str]]:
    for name, function in _functions():
        parameters = [
            parameter.replace(annotation=parameter.empty)
            for parameter in inspect.signature(function).parameters.values()
            if not parameter.name.startswith("_")  # private, for other classes of the project
        ]
        yield name, str(inspect.Signature(parameters))


def _types() -> Iterator[tuple[str, str]]:
    for name, function in _functions():
        signature = inspect.signature(function)
        for parameter in signature.parameters.values():
            if parameter.annotation is not parameter.empty:
                yield f"{name}: {parameter.name}", _type(parameter.annotation)
        if not name.endswith("__init__") and signature.return_annotation is not signature.empty:
            yield f"{name}: result", _type(signature.return_annotation)


# Spellings of the same type.
_SPELLINGS = {
    "ByteOrStr": "bytes | str",
    "Auth": "tuple[bytes | str, bytes | str] | None",
    "ssl.SSLContext": "SSLContext",
    "types.TracebackType": "TracebackType",
    "AsyncGenerator[Response, None]": "AsyncGenerator[Response]",
    "Generator[Response, None, None]": "Generator[Response]",
}


def _type(annotation: Any) -> str:
    if inspect.isclass(annotation):
        return annotation.__name__
    text = str(annotation)
    for spelling, common in _SPELLINGS.items():
        text = text.replace(spelling, common)
    return text


ORIGIN = httpcore2.Origin(b"https", b"www.example.com", 443)


def _states(connection: Any) -> str:
    """Return the state of a connection, by its methods."""
    questions = ["available", "idle", "closed", "connected"]
    answers = {question: getattr(connection, f"is_{question}")() for question in questions}
    return f"{answers}, {connection.has_expired()=}, {connection.can_multiplex()=}"


def _get(data: bytes) -> str:
    """Send a request to a mock, and return the response."""
    pool = httpcore2.ConnectionPool(network_backend=httpcore2.MockBackend([data]))
    response = pool.request("GET", "http://www.example.com/")
    return f"{response.status} {response.headers} {response.content}, {pool}"


def evaluate(expression: str) -> Any:
    """Evaluate an expression as in a caller's code, after `from httpcore2 import *`."""
    # A name that the installed release lacks raises NameError, as it does for the caller.
    helpers = {"origin": ORIGIN, "states": _states, "get": _get}
    return eval(expression, {**vars(httpcore2), **helpers})


def _samples() -> dict[str, Any]:
    """Yield objects by the expression that creates them."""
    expressions = [
        "URL('https://www.example.com/path?query')",
        "URL('http://www.example.com:8080')",
        "URL('HTTP://WWW.Example.com/A#fragment')",
        "URL('http://user:password@www.example.com/')",
        "URL('http://[::1]:80/')",
        "URL('http://example.com/a;b?c;d')",
        "URL(scheme='ws', host='::1', port=80, target='*')",
        "URL('/relative')",
        "URL()",
        "origin",
        "Origin(b'http', b'::1', 80)",
        "Request('GET', 'http://example.com/')",
        "Request(b'POST', 'http://example.com/', headers={'a': 'b'}, content=b'abc')",
        "Request('GET', 'http://example.com/', extensions={'target': b'*'})",
        "Response(200)",
        "Response(404, headers=[(b'A', b'b')], content=b'abc')",
        "Proxy('http://proxy.example:8080')",
        "Proxy('http://proxy.example:8080', auth=('user', 'password'), headers={'a': 'b'})",
    ]
    for prefix in ("", "Async"):
        stream = f"{prefix}MockStream([])"
        expressions += [
            stream,
            f"{prefix}MockBackend([])",
            f"{prefix}ConnectionPool()",
            f"{prefix}HTTPConnection(origin)",
            f"{prefix}HTTP11Connection(origin, {stream})",
            f"{prefix}HTTP2Connection(origin, {stream})",
            f"{prefix}HTTPProxy('http://proxy.example:8080')",
            f"{prefix}SOCKSProxy('socks5://proxy.example')",
        ]
    expressions += [f"{kind}Backend()" for kind in ("AnyIO", "Sync", "Trio")]
    return {
        text: evaluate(text) for text in expressions if text.partition("(")[0] in [*NAMES, "origin"]
    }


def _attributes() -> Iterator[tuple[str, str]]:
    """Yield the attributes of objects that are not attributes of their classes."""
    for text, sample in _samples().items():
        for key in dir(sample):
            member = inspect.getattr_static(type(sample), key, None)
            is_own = member is None or inspect.isdatadescriptor(member)
            if is_own and not key.startswith("_"):
                yield f"{text}.{key}", _outcome(partial(getattr, sample, key))


def _show(value: object) -> str:
    """Return a `repr` that is the same in every process."""
    text = repr(value)
    return f"an object of {type(value).__name__}" if " at 0x" in text else text


def _outcome(call: Callable[[], object]) -> str:
    try:
        return _show(call())
    except Exception as exc:
        return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__


def _representations() -> Iterator[tuple[str, str]]:
    for text, sample in _samples().items():
        for function in (repr, str, bytes, hash):
            method = f"__{function.__name__}__"
            if getattr(type(sample), method, None) is not getattr(object, method, None):
                yield f"{function.__name__}({text})", _outcome(partial(function, sample))
        if hasattr(sample, "info"):
            yield f"{text}.info()", sample.info()


def _exceptions() -> Iterator[tuple[str, str]]:
    for name, cls in _classes():
        if not issubclass(cls, BaseException):
            continue
        for other in (OSError, TimeoutError, ValueError, ssl.SSLError):
            if issubclass(cls, other):
                yield f"{name} is a kind of", other.__name__
        for arguments in ((), ("it broke",), (1, 2)):
            exc = cls(*arguments)
            text = ", ".join(map(repr, arguments))
            yield f"str({name}({text}))", str(exc)
            yield f"repr({name}({text}))", repr(exc)


def _tls() -> Iterator[tuple[str, str]]:
    """Yield every setting of the default context, by the source of its authorities."""
    variables = ("SSL_CERT_FILE", "SSL_CERT_DIR")
    outer = {name: os.environ.pop(name, None) for name in variables}
    with TemporaryDirectory() as folder:
        file = Path(folder) / "ca.pem"
        trustme.CA().cert_pem.write_to_path(file)
        yield from _settings("")
        for name, path in zip(variables, (str(file), folder), strict=True):
            os.environ[name] = path
            yield from _settings(f" with {name}")
            del os.environ[name]
    os.environ.update({name: value for name, value in outer.items() if value is not None})


def _settings(where: str) -> Iterator[tuple[str, str]]:
    context = httpcore2.default_ssl_context()
    for key in dir(context):
        value = getattr(context, key)
        if not key.startswith("_") and not callable(value):
            yield f"default_ssl_context().{key}{where}", repr(value)
    ciphers = " ".join(cipher["name"] for cipher in context.get_ciphers())
    yield f"default_ssl_context().get_ciphers(){where}", ciphers


USES = [
    "URL('http://a/') == URL('http://a')",
    "URL('http://a/') == URL('http://a:80/')",
    "URL('http://a/') == 'http://a/'",
    "URL(1)",
    "URL('http://é/')",
    "URL('http://é/'.encode())",
    "URL('http://[::1/')",
    "URL('http://a:x/')",
    "URL('http://a:99999/')",
    "URL('http://a b/')",
    "URL('http://a/b c')",
    "URL(scheme=1)",
    "URL(scheme='é')",
    "URL(scheme='ftp', host='a').origin",
    "str(URL('wss://a/').origin)",
    "str(URL('socks5h://a').origin)",
    "Origin(b'http', b'a', 80) == Origin(b'http', b'a', 80)",
    "Origin(b'http', b'a', 80) == Origin(b'http', b'A', 80)",
    "Request(1, 'http://a/')",
    "Request('É', 'http://a/')",
    "Request('GET', 1)",
    "Request('GET', 'http://a/', headers=1)",
    "Request('GET', 'http://a/', headers='ab')",
    "Request('GET', 'http://a/', headers=['ab']).headers",
    "Request('GET', 'http://a/', headers=['abc'])",
    "Request('GET', 'http://a/', headers=[('a', 'é')])",
    "Request('GET', 'http://a/', headers=[('a', None)])",
    "Request('GET', 'http://a/', headers={b'a': 'b'}).headers",
    "Request('GET', 'http://a/', headers=(('a', 'b'), ('a', 'c'))).headers",
    "Request('GET', 'http://a/', content='a')",
    "Request('GET', 'http://a/', content=1)",
    "Request('GET', 'http://a/', content=bytearray(b'ab'))",
    "list(Request('GET', 'http://a/', content=b'ab').stream)",
    "list(Request('GET', 'http://a/').stream)",
    "list(Request('GET', 'http://a/', content=[b'a', b'b']).stream)",
    "Response('200').status",
    "Response(200).content",
    "Response(200, content=b'ab').read()",
    "Response(200, content=[b'a', b'b']).read()",
    "list(Response(200, content=[b'a', b'b']).iter_stream())",
    "[response := Response(200, content=[b'a']), response.read(), response.content][2]",
    "[response := Response(200, content=[b'a']), response.read(), response.read()][2]",
    "[response := Response(200, content=[b'a']), response.read(), list(response.iter_stream())]",
    "[response := Response(200, content=[b'a']), list(response.iter_stream()), response.read()]",
    "Response(200, content=[b'a']).close()",
    "Response(200, content=anext).read()",
    "ConnectionPool(http1=False)",
    "ConnectionPool(http1=False, http2=False)",
    "ConnectionPool(max_connections=0)",
    "ConnectionPool(max_connections=-1)",
    "ConnectionPool(retries=-1)",
    "ConnectionPool(max_connections=None, max_keepalive_connections=None)",
    "ConnectionPool().create_connection(origin)",
    "ConnectionPool().connections",
    "ConnectionPool().handle_request(Request('GET', 'gopher://a/'))",
    "HTTPConnection(origin).handle_request(Request('GET', 'http://other.example/'))",
    "HTTPConnection(origin).can_handle_request(origin)",
    "states(HTTPConnection(origin))",
    "states(HTTPConnection(origin, http2=True))",
    "states(HTTPConnection(origin, http1=False, http2=True))",
    "states(HTTP11Connection(origin, MockStream([])))",
    "states(HTTP2Connection(origin, MockStream([])))",
    "get(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nfine')",
    "get(b'HTTP/1.1 200 OK\\r\\n\\r\\nfine')",
    "[stream := MockStream([b'ab', b'c']), stream.read(1), stream.read(9), stream.read(9)][1:]",
    "[stream := MockStream([b'ab']), stream.close(), stream.read(9)]",
    "MockStream([], http2=True).get_extra_info('ssl_object').selected_alpn_protocol()",
    "MockStream([]).get_extra_info('ssl_object').selected_alpn_protocol()",
    "MockStream([]).get_extra_info('socket')",
    "NetworkStream().read(1)",
    "NetworkStream().get_extra_info('socket')",
    "NetworkBackend().connect_tcp('a', 1)",
    "ConnectionInterface().info()",
    "Proxy(1)",
    "Proxy('http://a', auth=('é', 'b'))",
    "Proxy('http://a', auth=('a',))",
    "Proxy('http://a', headers=1)",
    "ConnectionPool(proxy=Proxy('ftp://a'))",
    "URL('http://a/?')",
    "URL('http://a?')",
    "URL('/a\\r\\nb')",
    "URL(' http://a/')",
    "URL('http://a\\\\@b/')",
    "URL('http://a\\0.b/')",
    "URL('http://a%zz/')",
    "URL('http://[::1]a/')",
    "URL('http://[v1.a]/')",
    "URL('http://[fe80::1%25eth0]/')",
    "URL('http://[fe80::1%eth0]/')",
    "URL('http://name.example./')",
    "URL('http:///a')",
    "URL('http:a')",
    "URL(scheme='http', host='a', port=65616).origin.port",
]
"""Valid and invalid expressions of callers."""


def _uses() -> Iterator[tuple[str, str]]:
    for expression in USES:
        yield expression, _outcome(partial(evaluate, expression))
