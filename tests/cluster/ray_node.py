"""The command `ray`, for nodes on a machine that is busy: they may take minutes to come up.

Ray gives up a node that is not there after 30 s, and one whose agents have not said after 15 s at which port they
listen. With ports that are given (`ray_cluster`) these are noted here before.
"""

import inspect
import sys
import time

import ray._private.services as services
from ray import _raylet
from ray.scripts.scripts import main

PATIENCE = 180.0  # seconds
PORTS = ("METRICS_AGENT", "METRICS_EXPORT", "DASHBOARD_AGENT_LISTEN", "RUNTIME_ENV_AGENT")

get_node, start_raylet = services.get_node, services.start_raylet


def patient(*given):
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return get_node(*given)
        except RuntimeError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def noted(*given, **named):
    values = inspect.signature(start_raylet).bind(*given, **named).arguments
    for name in PORTS:
        port = values[f"{name.lower()}_port"]
        _raylet.persist_port(values["session_dir"], values["node_id"], getattr(_raylet, f"{name}_PORT_NAME"), port)
    return start_raylet(*given, **named)


services.get_node, services.start_raylet = patient, noted
sys.argv[0] = "ray"
sys.exit(main())
