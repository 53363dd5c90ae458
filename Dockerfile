# The LAST stage is the Action: `docker build` (and GitHub's runner) builds that one, before every job that uses it.
# The server is built by name: docker build --target server -t retestr .

# --- server: API, dashboard and the worker with its browser -------------------------------------------------
FROM docker.io/library/python:3.13-slim AS server

RUN apt-get update \
 && if apt-cache show chromium-headless-shell >/dev/null 2>&1; then browser=chromium-headless-shell; else browser=chromium; fi \
 # libatomic1: what Playwright's Node.js needs and a slim image lacks; tini: buries what a killed browser leaves
 && apt-get install -y --no-install-recommends \
      "$browser" libatomic1 tini fonts-liberation fonts-noto-core fonts-noto-color-emoji \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb

WORKDIR /app
COPY requirements/server.lock requirements/server.lock
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
      --no-deps --require-hashes --only-binary :all: -r requirements/server.lock
COPY pyproject.toml README.md LICENSE ./
COPY action_src/__init__.py action_src/__init__.py
COPY server server
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --no-deps . \
 && useradd --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin retestr \
 && install -d -o retestr -g retestr -m 0750 /data

# HOME: read-only but for /data and /tmp. The sandbox: container engines forbid it unless told (docs/self-hosting.md).
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp RETESTR_DATA=/data RETESTR_CAPTURE_SANDBOX=preferred
USER retestr
WORKDIR /data
VOLUME /data
EXPOSE 8000
# Without a proxy: Docker sets HTTP_PROXY in every container where its configuration names one.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["tini", "--"]
CMD ["retestr", "serve", "--host", "0.0.0.0"]

# --- the Action ---------------------------------------------------------------------------------------------
FROM docker.io/library/python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY requirements/action.lock /app/action.lock
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
      --no-deps --require-hashes --only-binary :all: -r /app/action.lock
COPY entrypoint.py /app/entrypoint.py
COPY action_src /app/action_src
# Bytecode is made once here, not at every start: ours, and that of the standard library's modules in use.
RUN PYTHONDONTWRITEBYTECODE= PYTHONPATH=/app python -c "import action_src.main, yaml"
# Exec form: Python is process 1 and gets the runner's signals, and no shell drops INPUT_ names with dashes.
# -I: neither the workflow's PYTHON… variables nor the checked out repository decide what is imported.
ENTRYPOINT ["/usr/local/bin/python", "-I", "-u", "-B", "/app/entrypoint.py"]
