"""The userland proxy: a process of its own that relays what the kernel cannot forward, as dockerd's docker-proxy.

One for a node, started by the network service when it is first needed. It outlives the service: its connections go
on, and it keeps sockets (the embedded DNS servers') for the next service, so that what is asked meanwhile waits instead
of being refused. It ends when it keeps nothing and no service is connected. Only Python's own library is imported:
it is started in 20 ms and weighs 5 MB.
"""
