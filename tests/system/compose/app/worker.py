# mypy: ignore-errors
"""Takes words from the queue and writes them into the database."""

import socket

from parts import database, queue

cursor, words, me = database().cursor(), queue(), socket.gethostname()
print("waiting for words")
while True:
    _, word = words.blpop("words")
    cursor.execute("INSERT INTO words VALUES (%s, %s)", (word, me))
    print("wrote", word)
