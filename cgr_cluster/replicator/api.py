"""ReplicatorSv1: reading and changing single objects, as other installations do that share their data (spec 70 §5).

A table of the methods that are, under another name, methods of the administration: of profiles, which are whole in their
parameters and answers. Live states can be read and not be put: their owners alone change them. What is not in the table is not
there.
"""

from __future__ import annotations

import msgspec

from cgr_cluster.attributes import api as attributes
from cgr_cluster.chargers import api as chargers
from cgr_cluster.dispatchers import api as dispatchers
from cgr_cluster.filters import api as filters
from cgr_cluster.ips import api as ips
from cgr_cluster.rankings import api as rankings
from cgr_cluster.resources import api as resources
from cgr_cluster.routes import api as routes
from cgr_cluster.rpc.registry import REGISTRY, service
from cgr_cluster.stats import api as stats
from cgr_cluster.thresholds import api as thresholds
from cgr_cluster.trends import api as trends

service("ReplicatorSv1")

REPEATED = (
    attributes,
    chargers,
    dispatchers,
    filters,
    ips,
    rankings,
    resources,
    routes,
    stats,
    thresholds,
    trends,
)  # they declare the methods of the table

_PROFILES = (
    "AttributeProfile", "ChargerProfile", "DispatcherHost", "DispatcherProfile", "Filter", "IPProfile", "RankingProfile",
    "ResourceProfile", "RouteProfile", "StatQueueProfile", "ThresholdProfile", "TrendProfile",
)  # fmt: skip
SOURCES = {
    f"{verb}{profile}": f"APIerSv1.{verb}{profile}" for profile in _PROFILES for verb in ("Get", "Set", "Remove")
}
SOURCES |= {
    "GetIPAllocations": "IPsV1.GetIPAllocations",
    "GetRanking": "RankingSv1.GetRanking",
    "GetResource": "ResourceSv1.GetResource",
    "GetStatQueue": "StatSv1.GetStatQueue",
    "GetThreshold": "ThresholdSv1.GetThreshold",
}

for _name, _source in SOURCES.items():
    REGISTRY.add(msgspec.structs.replace(REGISTRY.find(_source), name=f"ReplicatorSv1.{_name}"))
