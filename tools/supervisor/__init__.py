"""The warm parent: starts the broker, forks the engine services from itself, and keeps them all running.

Engine processes do not die with the supervisor. It writes down each one's identity in `<run_dir>/engine/<name>.json`;
a supervisor that starts finds them there and takes over whoever still lives. A guardian of the size of a shell waits
for the supervisor's death and starts another one, so that any of the processes may be killed at any time.
"""
