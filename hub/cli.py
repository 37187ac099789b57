"""The command `tovholder`."""


def main() -> None:
    raise SystemExit("not yet")
