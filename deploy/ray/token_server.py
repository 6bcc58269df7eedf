"""
Servers on a Ray cluster: each replica of a Ray Serve deployment owns one `tokenlearner serve` on a port of its own. Ray places and supervises
them; data does not pass through Ray. proxy.py sends it from nginx straight to the servers.

    python token_server.py --model backbone=/models/weights.safetensors --replicas 2

Arguments after `--` go to `tokenlearner serve`. The app folder (npm install tokenlearner @tokenlearner/server) and the weights must be at the same
paths on every machine.
"""

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import ray
from ray import serve

ENDPOINTS = "tokenlearner-endpoints"
NAMESPACE = "tokenlearner"
HEALTH_CHECK_S = 1
# A server that has not announced itself for so long is gone.
LIFETIME_S = 10
# The proxies ask for the endpoints twice a second: after this time, none sends to a server that was dropped.
PROXY_DELAY_S = 2
GRACE_S = 30

# A server ends, as after SIGTERM, when its replica is gone, which closes its standard input.
END_WITH_PARENT = (
    "data:text/javascript,process.stdin.resume().on('end',()=>process.kill(process.pid,'SIGTERM')).unref()"
)


@ray.remote(num_cpus=0)
class Endpoints:
    """The URLs of the servers that are ready. After a restart it learns them again."""

    def __init__(self):
        self._started = time.monotonic()
        self._seen = {}

    def announce(self, url):
        self._seen[url] = time.monotonic()

    def drop(self, url):
        self._seen.pop(url, None)

    def list(self):
        """The URLs, and whether they are all: soon after a start, servers may be missing that have not announced themselves yet."""
        now = time.monotonic()
        urls = sorted(url for url, seen in self._seen.items() if seen > now - LIFETIME_S)
        return urls, self._started < now - LIFETIME_S


def endpoints():
    """The actor of the cluster that knows the servers. It outlives those who ask for it; if it is lost, the servers announce themselves again."""
    kept = {"lifetime": "detached", "max_restarts": -1, "max_task_retries": -1}
    return Endpoints.options(name=ENDPOINTS, namespace=NAMESPACE, get_if_exists=True, **kept).remote()


def free_port(host):
    with socket.create_server((host, 0)) as server:
        return server.getsockname()[1]


class TokenServer:
    """A replica. It is ready when its server is, and ends when its server ends."""

    def __init__(self, app_dir, models, host, arguments):
        self._endpoints = endpoints()
        self._stopping = False
        host = ray.util.get_node_ip_address() if host == "node" else host
        port = free_port(host)
        self._url = f"http://{host}:{port}"
        program = os.path.join(app_dir, "node_modules", "tokenlearner", "dist", "cli", "main.js")
        command = ["node", "--import", END_WITH_PARENT, program, "serve", "--host", host]
        command += ["--http-port", str(port), "--no-grpc-port", "--log-level", "warn"]
        command += ["--grace-period-ms", str(GRACE_S * 1000)]
        command += [word for model in models for word in ("--model", model)]
        self._server = subprocess.Popen([*command, *arguments], stdin=subprocess.PIPE)
        self._wait_until_ready()
        threading.Thread(target=self._end_with_server, daemon=True).start()

    def _is(self, state):
        try:
            with urllib.request.urlopen(f"{self._url}/v2/health/{state}", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def _wait_until_ready(self):
        while not self._is("ready"):
            if self._server.poll() is not None:
                raise RuntimeError(f"The server ended with {self._server.returncode}; its reason is in the log")
            time.sleep(0.05)
        ray.get(self._endpoints.announce.remote(self._url))

    def _end_with_server(self):
        """A replica without its server is of no use: Ray sees its end, and starts another."""
        self._server.wait()
        if self._stopping:
            return
        try:
            ray.get(self._endpoints.drop.remote(self._url), timeout=1)
        finally:
            os._exit(1)

    async def check_health(self):
        """Ray calls this each second, and replaces a replica that fails three times in a row."""
        if not await asyncio.to_thread(self._is, "live"):
            raise RuntimeError(f"{self._url} does not answer")
        if await asyncio.to_thread(self._is, "ready"):
            await self._endpoints.announce.remote(self._url)

    def url(self):
        return self._url

    def __del__(self):
        """Ends the server without losing a request: the proxies first, then SIGTERM, on which it finishes what it has."""
        if not hasattr(self, "_server"):
            return
        self._stopping = True
        ray.get(self._endpoints.drop.remote(self._url))
        time.sleep(PROXY_DELAY_S)
        self._server.send_signal(signal.SIGTERM)
        self._server.wait(GRACE_S + 5)


def application(app_dir, models, replicas=1, host="127.0.0.1", cpus=1, gpus=0, arguments=()):
    """The application for serve.run. `host` is an address, or 'node' for that of each machine; a replica gets `gpus` GPUs of its own."""
    deployment = serve.deployment(
        TokenServer,
        name="TokenServer",
        num_replicas=replicas,
        health_check_period_s=HEALTH_CHECK_S,
        health_check_timeout_s=10,
        graceful_shutdown_timeout_s=PROXY_DELAY_S + GRACE_S + 10,
        ray_actor_options={"num_cpus": cpus, "num_gpus": gpus},
    )
    return deployment.bind(os.path.abspath(app_dir), list(models), host, list(arguments))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", required=True, metavar="NAME=PATH", help="as of tokenlearner serve")
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--app-dir", default=".", help="the folder with node_modules (.)")
    parser.add_argument("--host", default="127.0.0.1", help="'node': the address of each machine; needs -- --token-file FILE (127.0.0.1)")
    parser.add_argument("--cpus", type=float, default=1, help="CPUs of a replica, for Ray's placement (1)")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs of a replica (0)")
    parser.add_argument("--address", default="auto", help="the Ray cluster; 'local' starts one on this machine (auto)")
    parser.add_argument("arguments", nargs="*", metavar="-- ...", help="more options of tokenlearner serve")
    return parser.parse_args()


def main():
    options = parse()
    local = {"_node_ip_address": "127.0.0.1", "include_dashboard": False} if options.address == "local" else {}
    ray.init(address=options.address, namespace=NAMESPACE, **local)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    serve.start(proxy_location="Disabled")
    app = application(
        options.app_dir,
        options.model,
        replicas=options.replicas,
        host=options.host,
        cpus=options.cpus,
        gpus=options.gpus,
        arguments=options.arguments,
    )
    serve.run(app, name="tokenlearner", route_prefix=None)
    print("ready", ray.get_runtime_context().gcs_address, flush=True)
    stop.wait()
    serve.delete("tokenlearner")
    if options.address == "local":
        ray.shutdown()


if __name__ == "__main__":
    main()
