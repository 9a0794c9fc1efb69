"""`cgr-cluster stress`: whole calls at full speed, and proof that no money was lost or made."""

from cgr_cluster.cli.stress.command import add_parser

__all__ = ["add_parser"]
