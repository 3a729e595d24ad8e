"""The exec shim: a small program of its own that makes exec processes, holds their output and keeps their exit codes.

It runs on Python's standard library alone, imports nothing once it has begun, and is started by the platform from a
read-only mount of the interpreter (`adapters.shim`): what is forked here joins containers, where a program could
otherwise reach the host's file through /proc/self/exe. It outlives the platform until its last exec has ended.

A request is a packet on the control socket with a pidfd of the container's first process: the fields of
`adapters.shim.Request`; the program itself is the folder's `process.json` (runtime-spec `process`). The answer is
`{"folder", "pid"}` with the platform's ends of the streams, or `{"folder", "stage", "errno", "what"}`; later
`{"folder", "code"}` tells the end, when the folder's `exit` has it.
"""
