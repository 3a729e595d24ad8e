"""The published contracts: `shared/contracts/schema/<service>.<version>.json`, generated from the declarations.

    python -m tools.contracts generate              write the documents
    python -m tools.contracts check                 exit code 1 when one is stale, or breaks what was released
    python -m tools.contracts release               after `check`: what is published now becomes what must be kept
    python -m tools.contracts permissions SERVICE   the broker permissions of a service

A contract grows by endpoints, events and fields with defaults. Anything else is a new version of it.
"""
