"""What may be wrong with a host, and how to mend it: the checks behind `shoal doctor`.

A check looks at one thing and yields findings. Looking and judging are apart: functions named `judge_...` are values
in, findings out.
"""
