"""The page: takes texts, shows what the worker made of them. It never does the work itself."""

import html
import os
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import tasks

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Word counter</title>
<h1>Word counter</h1>
<p>Texts wait in a queue until the process <code>worker</code> has counted their words.</p>
<form method="post"><textarea name="text" rows="5" cols="60" required></textarea><br><button>Count</button></form>
<p>{waiting} waiting</p>
<ul>{done}</ul>
</html>
"""


class Page(BaseHTTPRequestHandler):
    """``GET /`` shows the queue, ``POST /`` adds a text to it."""

    def do_GET(self) -> None:
        if self.path != "/":
            self.send_error(404)
            return
        lines = (f"<li>{html.escape(str(each['text']))}: {each['words']} words</li>" for each in tasks.done())
        body = PAGE.format(waiting=len(tasks.waiting()), done="".join(lines)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        length = min(int(self.headers.get("Content-Length") or 0), 100_000)
        texts = parse_qs(self.rfile.read(length).decode(errors="replace")).get("text", [])
        for text in texts:
            tasks.add(text)
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()


def stop(*_: object) -> None:
    """Ends the process as a platform asks for it."""
    raise SystemExit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    port = int(os.environ.get("PORT", "8000"))
    print(f"Word counter on port {port}", flush=True)
    ThreadingHTTPServer(("", port), Page).serve_forever()
