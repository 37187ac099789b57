"""Speed, as ratios to something run beside it: `python -m bench` (see docs/performance.md).

A figure of this machine at this hour says little; how the hub does against a floor that runs in the same minutes says
more. Nothing here fails a build: there are no timed assertions.
"""
