"""The gateway: the Docker Remote API 1.24 to 1.55 over HTTP, translated to the engine's contracts.

It owns no record and keeps no state that matters: it calls the services, and reads what containers there are
from a watch-fed read model. A hijacked connection is all that binds a client to one gateway process.
"""
