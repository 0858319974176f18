"""Failures that installs and scripts have in common: memory, disk, compilers, questions, missing modules."""

from __future__ import annotations

import os
import re
from typing import NoReturn

from pylife_sdk.output import fail
from pylife_sdk.process import Ran

from pylife_nodejs.manifest import Manifest

_DISK = re.compile(r"ENOSPC|No space left on device", re.I)
_MEMORY = re.compile(r"heap out of memory|Reached heap limit|Allocation failed - JavaScript|ERR_WORKER_OUT_OF_MEMORY")
_OPENSSL = re.compile(r"ERR_OSSL_EVP_UNSUPPORTED|digital envelope routines::unsupported")
_GLIBC = re.compile(r"version [`'](GLIBC(?:XX)?_[\d.]+)' not found")
_COMPILED = re.compile(r"gyp ERR!|node-gyp|node-pre-gyp|prebuild-install|g\+\+|\bcc\b.*error|cmake", re.I)
_HEADER = re.compile(r"fatal error: ([^\s:]+): No such file")
_LIBRARY = re.compile(r"/ld: cannot find -l([A-Za-z0-9_+.-]+)")
_PKG_CONFIG = re.compile(r"No package '([^']+)' found|Package ([\w.+-]+) was not found in the pkg-config")
_PROGRAM = re.compile(r"(?:sh|bash): (?:line )?(?:\d+: )?([\w./@-]+): (?:command )?not found|spawn ([\w.-]+) ENOENT")
_PACKAGE_PATH = re.compile(r"node_modules/((?:@[\w.-]+/)?[\w.-]+)(?=[\s/\n]|$)")
_ASKS = re.compile(
    r"ExitPromptError|force closed the prompt|ERR_USE_AFTER_CLOSE|readline was closed|ERR_TTY_INIT_FAILED|"
    r"Detected unsettled top-level await|Prompts? can ?not be|not a TTY|stdin is not a (?:tty|terminal)",
    re.I,
)
_QUESTION = re.compile(r"(?:\?|\(y/n\)|\[y/n\]|\(yes/no\)|password:?|token:|name:)\s*[:>\\u203a]?\s*\S{0,12}\s*$", re.I)
_MODULE = re.compile(
    r"Cannot find module '([^']+)'|Can't resolve '([^']+)'|Could not resolve [\"']([^\"']+)[\"']|"
    r"failed to resolve import \"([^\"]+)\"|Cannot find package '([^']+)'|Cannot find module \"([^\"]+)\""
)
_CASE = re.compile(r"differs from already included file name|with a different casing", re.I)
# Debian packages by the header, library, pkg-config name or program that is missing.
_DEBIAN = {
    "cairo.h": "libcairo2-dev",
    "cairo": "libcairo2-dev",
    "pango": "libpango1.0-dev",
    "pangocairo": "libpango1.0-dev",
    "pango/pangocairo.h": "libpango1.0-dev",
    "pixman-1": "libpixman-1-dev",
    "gif_lib.h": "libgif-dev",
    "librsvg/rsvg.h": "librsvg2-dev",
    "librsvg-2.0": "librsvg2-dev",
    "vips/vips8": "libvips-dev",
    "vips-cpp": "libvips-dev",
    "vips": "libvips-dev",
    "sql.h": "unixodbc-dev",
    "sqlext.h": "unixodbc-dev",
    "usb.h": "libusb-dev",
    "libusb.h": "libusb-1.0-0-dev",
    "libusb-1.0": "libusb-1.0-0-dev",
    "libudev.h": "libudev-dev",
    "udev": "libudev-dev",
    "X11/Xlib.h": "libx11-dev",
    "x11": "libx11-dev",
    "X11/extensions/XTest.h": "libxtst-dev",
    "png.h": "libpng-dev",
    "GL/gl.h": "libgl-dev",
    "alsa/asoundlib.h": "libasound2-dev",
    "opencv4": "libopencv-dev",
    "krb5.h": "libkrb5-dev",
    "gssapi/gssapi.h": "libkrb5-dev",
    "gssapi_krb5": "libkrb5-dev",
    "secret-1": "libsecret-1-dev",
    "libsecret/secret.h": "libsecret-1-dev",
    "libsecret-1": "libsecret-1-dev",
    "bluetooth/bluetooth.h": "libbluetooth-dev",
    "pcap.h": "libpcap-dev",
    "pcap/pcap.h": "libpcap-dev",
    "zmq.h": "libzmq3-dev",
    "libzmq": "libzmq3-dev",
    "rdkafka.h": "librdkafka-dev",
    "security/pam_appl.h": "libpam0g-dev",
    "magic.h": "libmagic-dev",
    "cmake": "cmake",
    "autoreconf": "autoconf automake libtool",
    "autoconf": "autoconf",
    "automake": "automake",
    "libtool": "libtool",
    "nasm": "nasm",
    "yasm": "yasm",
    "cargo": "cargo",
    "go": "golang-go",
    "java": "default-jre-headless",
    "ffmpeg": "ffmpeg",
    "gm": "graphicsmagick",
    "convert": "imagemagick",
}


def evidence(output: str, *words: str, limit: int = 12) -> str:
    """The lines of an output that have one of the words; its end where none has."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    chosen = [line for line in lines if any(word in line for word in words)]
    chosen = [line for line in dict.fromkeys(chosen) if "A complete log of this run" not in line]
    return "\n".join(chosen[:limit] or lines[-limit:]) or "(it said nothing)"


def explain_common(ran: Ran, command: str, manifest: Manifest) -> None:
    """Raises the ``Failure`` that fits, if one of these does."""
    output = ran.output
    if _DISK.search(output):
        fail(
            "node.disk-full",
            f"The disk is full: {command} could not write any more.",
            found=evidence(output, "ENOSPC", "No space left"),
            fix="Make room where builds are kept, and build again:\npylife gc",
        )
    if _MEMORY.search(output) or ran.code in (-9, 137):
        fail(
            "node.out-of-memory",
            f"{command} needs more memory than Node.js may use."
            if _MEMORY.search(output)
            else f"{command} was ended from outside (signal 9): most likely there was no memory left.",
            found=evidence(output, "heap", "Allocation", "Killed"),
            fix="Let Node.js use more in the build:\npylife build --env NODE_OPTIONS=--max-old-space-size=4096 ...\n"
            "and give the build as much, where --memory limits it.",
        )
    if _OPENSSL.search(output):
        fail(
            "node.openssl-legacy",
            "A tool of the build uses a hash that OpenSSL 3 no longer has; webpack 4 is the usual one.",
            found=evidence(output, "ERR_OSSL", "digital envelope"),
            fix="Update the tool (webpack to 5, react-scripts to 5). Until then:\n"
            "pylife build --env NODE_OPTIONS=--openssl-legacy-provider ...",
        )
    if glibc := _GLIBC.search(output):
        fail(
            "node.glibc",
            f"A compiled file needs {glibc[1]}, a newer C library than the build image has.",
            found=evidence(output, "GLIBC"),
            fix="Take a version of the package that was compiled for an older system, or build with a builder whose "
            "base is newer.",
        )
    if _COMPILED.search(output) and (re.search(r"gyp ERR!|fatal error:|cannot find -l|not found", output)):
        explain_native(output)
    _module(output, manifest, command)
    last = next((line for line in reversed(output.splitlines()) if line.strip() and "ELIFECYCLE" not in line), "")
    if _ASKS.search(output) or _QUESTION.search(last):
        fail(
            "node.script-asks",
            f"{command} asks for input, and nobody answers in a build.",
            found=evidence(output, "?", "prompt", "readline", "TTY"),
            fix="Give the answer by an option or a variable of that tool, such as --yes, or CI=1:\n"
            "pylife build --env CI=1 ...",
        )


def explain_native(output: str) -> None:
    """Raises the ``Failure`` for a package whose native part could not be compiled."""
    missing = ""
    if header := _HEADER.search(output):
        missing, needs = header[1], f"the header {header[1]}"
    elif library := _LIBRARY.search(output):
        missing, needs = library[1], f"the library {library[1]}"
    elif module := _PKG_CONFIG.search(output):
        missing = module[1] or module[2]
        needs = f"the library {missing} (by pkg-config)"
    elif (program := _PROGRAM.search(output)) and (program[1] or program[2]) in _DEBIAN:
        missing = program[1] or program[2]
        needs = f"the program {missing}"
    else:
        needs = ""
    names = [name for name in _PACKAGE_PATH.findall(output) if name not in ("node-gyp", "npm", "nan", ".bin")]
    package = names[0] if names else "A package"
    debian = _DEBIAN.get(missing) or _DEBIAN.get(missing.rpartition("/")[2])
    advice = []
    if debian:
        lines = "\n".join(debian.split())
        advice.append(f"Add to the file Aptfile in the root of the source:\n{lines}")
    elif missing:
        advice.append(
            "Find the Debian package that has it (apt-file search " + missing + "), and name it in a file Aptfile."
        )
    advice.append(f"Or take a version of {package} that brings a compiled file for this Node.js.")
    fail(
        "node.compile-failed",
        f"{package} has a native part that could not be compiled" + (f": it needs {needs}." if needs else "."),
        found=evidence(output, "error:", "cannot find", "not found", "No package", "gyp ERR! stack"),
        fix="\n".join(advice),
    )


def _module(output: str, manifest: Manifest, command: str) -> None:
    """Raises the ``Failure`` for a module that is not there, or only in other letters."""
    match = _MODULE.search(output)
    if not match:
        if _CASE.search(output):
            _wrong_case(evidence(output, "casing", "differs"), "the import", "the file")
        return
    name = next(group for group in match.groups() if group)
    if name.startswith((".", "/", "@/", "~/", "src/")):
        twin = _twin(manifest.directory, name)
        if twin:
            _wrong_case(evidence(output, name), name, twin)
        fail(
            "node.module-missing",
            f"{command} needs the file {name}, which is not in the source.",
            found=evidence(output, name),
            fix="Commit it (git status and .gitignore tell whether it is), or correct the import.",
        )
    package = "/".join(name.split("/")[: 2 if name.startswith("@") else 1])
    listed = manifest.needs(package)
    fail(
        "node.module-missing",
        f"{command} needs the package {package}"
        + (
            ", which package.json names but which is not installed."
            if listed
            else ", which package.json does not name."
        ),
        found=evidence(output, name),
        fix=f"npm install {package}   (or yarn add, pnpm add), and commit package.json and the lockfile."
        if not listed
        else f"It may be left out by NODE_ENV or an option: move {package} to dependencies.",
    )


def _wrong_case(found: str, name: str, twin: str) -> NoReturn:
    fail(
        "node.case-mismatch",
        f"{name} is imported, and the file is called {twin}: on Linux capital and small letters differ.",
        found=found,
        fix=f"Write the import as the file is called ({twin}), or rename the file: git mv",
    )


def _twin(root: str, name: str) -> str:
    """A file of the source whose name differs from an import's only in capital letters; "" when there is none."""
    wanted = name.rstrip("/").rpartition("/")[2]
    exact = ""
    for directory, folders, files in os.walk(root):
        folders[:] = [each for each in folders if each not in ("node_modules", ".git")]
        for entry in (*files, *folders):
            stem = entry if entry.lower() == wanted.lower() else entry.split(".")[0]
            if stem.lower() == wanted.split(".")[0].lower() and stem.split(".")[0] != wanted.split(".")[0]:
                exact = os.path.relpath(os.path.join(directory, entry), root)
    return exact
