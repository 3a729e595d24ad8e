# mypy: ignore-errors
"""POST puts a word into the queue, GET tells the words that the workers wrote."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from parts import database, queue


class Site(BaseHTTPRequestHandler):
    def do_GET(self):
        cursor = database().cursor()
        cursor.execute("SELECT word, worker FROM words ORDER BY word")
        self.answer({"greeting": os.environ["GREETING"], "words": cursor.fetchall()})

    def do_POST(self):
        word = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.answer(queue().rpush("words", word))

    def answer(self, value):
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


print("serving")
ThreadingHTTPServer(("", 8000), Site).serve_forever()
