"""nginx's configuration for one site.

Which page answers a path is decided in the rewrite phase, before nginx looks for a file: so the page's content hash is
known when a browser asks whether what it has is still good. nginx's own answer would come from the file's time, which
is the same for all files of an image, and its size: a page changed without changing its length would never arrive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from pylife_static.files import Contents, File
from pylife_static.patterns import glob_names, key, value
from pylife_static.rules import Header, Rule
from pylife_static.settings import Settings

COMPRESSED = (
    "text/css text/javascript text/plain text/csv text/xml text/vtt text/calendar text/markdown application/json "
    "application/ld+json application/geo+json application/manifest+json application/atom+xml application/rss+xml "
    "application/xhtml+xml application/wasm application/yaml application/toml application/sql "
    "application/vnd.ms-fontobject font/ttf font/otf image/bmp image/svg+xml image/x-icon model/gltf+json"
)
# A path with such an ending asks for a file: no page of an app with its own routes, even when the file is missing.
_FILE_ENDINGS = (
    "avif|bmp|cjs|css|csv|eot|gif|gz|ico|jpe?g|js|json|map|mjs|mp3|mp4|ogg|otf|pdf|png|svg|tar|ttf|txt|wasm|"
    "wav|webm|webmanifest|webp|woff2?|xml|zip"
)
_COMMON = (
    "default_type application/octet-stream;",
    "charset_types text/css text/javascript text/plain text/csv text/xml text/markdown application/manifest+json;",
    "server_tokens off;",
    "absolute_redirect off;",
    "uninitialized_variable_warn off;",
    "etag off;",
    "if_modified_since off;",
    "sendfile on;",
    "tcp_nopush on;",
    "gzip on;",
    "gzip_vary on;",
    "gzip_proxied any;",
    "gzip_comp_level 5;",
    "gzip_min_length 1000;",
)
IMMUTABLE = "public, max-age=31536000, immutable"


def render(root: str, contents: Contents, settings: Settings, types: str) -> str:
    """The part of nginx.conf below ``http``; ``root`` is the absolute path of the site's folder."""
    entity_tags = [(file, f'\\"{file.digest}\\"') for file in contents.files]
    forever = [(file, IMMUTABLE) for file in contents.files if file.immutable]
    longest = max((len(file.path.encode(errors="surrogateescape")) for file in contents.files), default=0)
    headers, typed = _header_lines(settings)
    lines = [
        types.rstrip(),
        *_COMMON,
        f"gzip_types {COMPRESSED};",
        'geo $dollar { default "$"; }',
        f"map_hash_max_size {max(2048, 4 * len(contents.files))};",
        f"map_hash_bucket_size {(longest + 64) // 64 * 64 + 192};",
        *_map("$uri", "$index", ['"~/$" "${uri}index.html";', "default /;"]),
        *_map("$page", "$entity_tag", _by_file(entity_tags, contents.files)),
        *_map("$page", "$caching", [*_by_file(forever, contents.files), "default no-cache;"]),
        # Several tags may be listed, and a compressed answer's is a weak one.
        *_map(
            "$entity_tag $http_if_none_match",
            "$fresh",
            [r'"~^(\"[0-9a-f]+\") (?:.*,\\s*)?(?:W/)?\\1(?:\\s*,.*)?$" 1;', r'"~^\"[0-9a-f]+\" \\*$" 1;'],
        ),
        *(line for _, lines in headers for line in lines),
        "server {",
        *("    " + line for line in _server(root, contents, settings, [use for use, _ in headers], typed)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _server(
    root: str, contents: Contents, settings: Settings, headers: Sequence[str], typed: Iterable[str]
) -> Iterable[str]:
    yield "include listen.conf;"
    yield f'root "{value(root)}";'
    yield f"charset {settings.charset};"
    yield from headers
    yield 'add_header Last-Modified "";'
    yield "add_header ETag $entity_tag;"
    yield "error_page 404 @missing;"
    yield "error_page 405 @refused;"
    yield "error_page 418 = @fresh;"
    yield "set $path $uri;"
    yield 'set $page "";'
    yield 'set $to "";'
    if settings.https_only:
        yield 'if ($http_x_forwarded_proto = "http") { return 301 https://$host$request_uri; }'
    yield 'if ($request_method !~ "^(GET|HEAD)$") { return 405; }'
    yield from _pages(contents, settings)
    statuses = sorted({rule.status for rule in settings.rules} - {200, 404})
    yield from (f'if ($page = "={status}") {{ return {status} $to; }}' for status in statuses)
    yield 'if ($page = "=slash") { rewrite "^(.*[^/])$" "$1/" permanent; }'
    yield 'if ($page !~ "^/") { return 404; }'
    yield "if ($fresh) { return 418; }"
    yield 'rewrite "^" "$page" break;'
    yield from typed
    yield "location @missing {"
    if settings.error_page:
        yield f'    rewrite "^" "/{value(settings.error_page)}" break;'
    else:
        yield "    types { } default_type text/plain;"
        yield '    return 404 "404 Not Found\\n";'
    yield "}"
    # `return 304` alone would add `Content-Length: 0`, which is not the length of the page; a filter takes it off.
    yield "location @fresh {"
    yield "    sub_filter_types *;"
    yield "    sub_filter_last_modified on;"
    yield "    sub_filter - -;"
    yield '    return 304 "-";'
    yield "}"
    yield "location @refused {"
    yield "    default_type text/plain;"
    yield '    add_header Allow "GET, HEAD" always;'
    yield '    return 405 "405 Method Not Allowed\\n";'
    yield "}"


def _pages(contents: Contents, settings: Settings) -> Iterable[str]:
    """Finds the page: what is said later wins."""
    if settings.fallback:
        # In a pattern of nginx's `if`, the last segment tells whether a file is asked for.
        yield f'if ($path !~* "\\\\.({_FILE_ENDINGS})$") {{ set $page "/{value(settings.fallback)}"; }}'
    yield from (_rule(rule) for rule in reversed(settings.rules) if not rule.forced)
    yield 'if (-f "$document_root$uri/index.html") { set $page "=slash"; }'
    if settings.clean_urls:
        yield 'if (-f "$document_root$uri.html") { set $page "$uri.html"; }'
    yield 'if (-f "$document_root$index") { set $page $index; }'
    yield 'if (-f "$document_root$uri") { set $page $uri; }'
    yield from (_rule(rule) for rule in reversed(settings.rules) if rule.forced)
    # Whatever led there: no file whose name begins with a dot, but for what has its place in .well-known.
    yield f'if ($path ~ "{key(_DOTFILE)}") {{ set $page ""; }}'
    yield f'if ($page ~ "{key(_DOTFILE)}") {{ set $page ""; }}'
    if contents.hidden:
        yield f'if ($page ~ "{key(glob_names(contents.hidden))}") {{ set $page ""; }}'


_DOTFILE = r"/\.(?!well-known/)"


def _rule(rule: Rule) -> str:
    test = f'if ($path ~ "{key(rule.pattern)}")'
    if rule.status == 200:
        return f'{test} {{ set $page "{rule.target}"; }}'
    if rule.status == 404:
        return f'{test} {{ set $page ""; }}'
    arguments = "" if "?" in rule.target else "$is_args$args"
    return f'{test} {{ set $page "={rule.status}"; set $to "{rule.target}{arguments}"; }}'


def _header_lines(settings: Settings) -> tuple[list[tuple[str, list[str]]], list[str]]:
    """For each header the line that sends it with the map that it takes its value from; the locations of types."""
    defaults = {"cache-control": "$caching", "x-content-type-options": "nosniff"}
    if settings.https_only:
        defaults["strict-transport-security"] = "max-age=31536000"
    named: dict[str, list[Header]] = {name: [] for name in defaults}
    for header in settings.headers:
        named.setdefault(header.name.lower(), []).append(header)
    types = named.pop("content-type", [])
    lines = []
    for number, (name, headers) in enumerate(named.items()):
        # The last one that matches wins, as both dialects have it; nginx takes the first.
        rules = [f'"~{key(header.pattern)}" "{value(header.content)}";' for header in reversed(headers)]
        default = defaults.get(name, "")
        rules.append(f'default "{default}";')
        shown = headers[-1].name if headers else "-".join(part.capitalize() for part in name.split("-"))
        lines.append((f"add_header {shown} $header_{number} always;", _map("$path", f"$header_{number}", rules)))
    typed = [
        f'location ~ "{key(header.pattern)}" {{ types {{ }} default_type "{value(header.content)}"; }}'
        for header in reversed(types)
    ]
    return lines, typed


def _map(source: str, target: str, rules: Iterable[str]) -> list[str]:
    return [f'map "{source}" {target} {{', *("    " + rule for rule in rules), "}"]


def _by_file(values: Iterable[tuple[File, str]], every: Sequence[File]) -> list[str]:
    """A map's rules by path. nginx's maps do not tell upper from lower case: names that differ in nothing else are
    regular expressions, which do."""
    folded: Callable[[File], str] = lambda file: _fold(file.path)  # noqa: E731
    alike = {file.path for _, group in groupby(sorted(every, key=folded), folded) for file in _several(group)}
    rules = []
    for file, content in values:
        if re.search(r"[\x00-\x1f\x7f]", file.path):
            continue  # never asked for in a form that nginx would let through
        if file.path in alike:
            rules.append(f'"~{key(glob_names([file.path[1:]], whole=True))}" "{content}";')
        else:
            rules.append(f'"{key(file.path)}" "{content}";')
    return rules


def _several(group: Iterable[File]) -> list[File]:
    files = list(group)
    return files if len(files) > 1 else []


def _fold(path: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in path)
