"""`python -m tests.esp`: encrypted networks by the kernel's IPsec, on a kernel with ESP (the project's own has none).

Needs root, iproute2, libnftables1, msgspec; makes two network namespaces and takes them away. The keys here are not
agreed on but given: who agrees is tested elsewhere.
"""
