"""Services of CDRs; importing this module declares their methods and those of APIerSv1/2 on CDRs."""

from cgr_cluster.cdrs import form_api, process_api, query_api
from cgr_cluster.rpc.registry import service

service("CDRsV1")
service("CDRsV2", extends="CDRsV1")
service("CdrsV1", alias_of="CDRsV1")
service("CdrsV2", alias_of="CDRsV2")

__all__ = ["form_api", "process_api", "query_api"]
