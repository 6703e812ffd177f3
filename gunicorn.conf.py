"""How gunicorn serves Stork; docs/design.md says by which figures these were chosen."""

import os
from pathlib import Path

bind = f"127.0.0.1:{os.environ.get('PORT', '8080')}"  # loopback unless -b says otherwise
# Stork's own worker speaks HTTP, in a third of the CPU; docs/design.md has the figures.
server = os.environ.get("STORK_SERVER", "stork")
worker_class = {"stork": "stork.web.worker.DeskWorker"}.get(server, server)
workers = int(os.environ.get("STORK_WORKERS", "2"))
threads = int(os.environ.get("STORK_THREADS", "4"))
# A model loaded before the fork hangs its workers: each worker loads its own.
preload_app = False
# On App Engine the front end ends requests that take too long; here nothing does that better than the deadlines.
timeout = 0
graceful_timeout = 2 if os.environ.get("GAE_ENV") == "standard" else 30
keepalive = 75
# App Engine's front end says there whether the caller came over https; nobody else can reach the port.
forwarded_allow_ips = "*" if os.environ.get("GAE_ENV") == "standard" else "127.0.0.1"
# Heartbeat files on a disk make a worker wait for the disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else "/tmp"
control_socket_disable = True
accesslog = None  # the prediction log says more
loglevel = "warning"
