"""cgr_cluster: a real-time charging system (library part; see docs/architecture.md)."""

__version__ = "0.1.0"
