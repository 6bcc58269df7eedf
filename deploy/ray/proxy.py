"""
nginx in front of the servers of token_server.py: it asks Ray where they are, and writes nginx's configuration when that changes.

    python proxy.py --port 8000

A request goes to the server with the fewest. One that a server did not answer, since it was killed or is ending, goes to another one: inference can
be repeated. nginx is that of the system (Debian: nginx-light).
"""

import argparse
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

INTERVAL_S = 0.5

TEMPLATE = """\
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log stderr error;
worker_shutdown_timeout 60s;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_max_body_size 256m;
  client_body_buffer_size 1m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{upstream}
  server {{
    listen {host}:{port};
    location / {{
{location}
    }}
  }}
}}
"""

UPSTREAM = """\
  upstream servers {{
    zone servers 256k;
    least_conn;
{servers}
    keepalive 64;
  }}"""

LOCATION = """\
      proxy_pass http://servers;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_connect_timeout 2s;
      proxy_read_timeout 60s;
      proxy_next_upstream error timeout http_503 non_idempotent;
      proxy_next_upstream_tries 3;"""


def configuration(urls, folder, host="127.0.0.1", port=8000):
    """nginx's configuration for servers at URLs such as http://127.0.0.1:4000. Without any, it answers 503."""
    addresses = [url.removeprefix("http://") for url in urls]
    servers = "\n".join(f"    server {address} max_fails=2 fail_timeout=1s;" for address in addresses)
    return TEMPLATE.format(
        folder=folder,
        host=host,
        port=port,
        upstream=UPSTREAM.format(servers=servers) if urls else "",
        location=LOCATION if urls else "      return 503;",
    )


class Proxy:
    """An nginx, and the servers that it knows."""

    def __init__(self, program, folder, host, port):
        self._folder, self._host, self._port = folder, host, port
        self._file = os.path.join(folder, "nginx.conf")
        self._urls = []
        self._write()
        self._nginx = subprocess.Popen([program, "-p", folder, "-c", self._file])
        # Before that, a signal would end it.
        while self._nginx.poll() is None and not os.path.exists(os.path.join(folder, "nginx.pid")):
            time.sleep(0.01)

    def _write(self):
        text = configuration(self._urls, self._folder, self._host, self._port)
        with open(self._file + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(self._file + ".new", self._file)

    def update(self, urls, are_all):
        """
        Takes the servers that there are now. Unless they are all, those that are missing stay, and so they do without any: nginx notices
        itself which are gone. Requests under way are not touched. Throws if nginx has ended.
        """
        if self._nginx.poll() is not None:
            raise RuntimeError(f"nginx ended with {self._nginx.returncode}")
        if not are_all:
            urls = sorted({*urls, *self._urls})
        if not urls or urls == self._urls:
            return
        self._urls = urls
        self._write()
        self._nginx.send_signal(signal.SIGHUP)
        print("servers", *urls, flush=True)

    def close(self):
        """Finishes the requests under way."""
        self._nginx.send_signal(signal.SIGQUIT)
        return self._nginx.wait()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--address", default="auto", help="the Ray cluster (auto)")
    # Debian has it in a folder that is in root's PATH alone.
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    parser.add_argument("--nginx", default=program, help="the program (%(default)s)")
    parser.add_argument("--work-dir", help="for nginx's files (a new temporary folder)")
    return parser.parse_args()


def main():
    import ray
    from token_server import NAMESPACE, endpoints

    options = parse()
    ray.init(address=options.address, namespace=NAMESPACE)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    known = endpoints()
    folder = options.work_dir or tempfile.mkdtemp(prefix="tokenlearner-proxy-")
    # nginx's workers may have another user.
    os.chmod(folder, 0o755)
    proxy = Proxy(options.nginx, os.path.abspath(folder), options.host, options.port)
    while not stop.wait(INTERVAL_S):
        try:
            urls, are_all = ray.get(known.list.remote(), timeout=10)
        except ray.exceptions.RayError as error:
            # The servers that are known go on.
            print(error, flush=True)
            continue
        proxy.update(urls, are_all)
    proxy.close()


if __name__ == "__main__":
    main()
