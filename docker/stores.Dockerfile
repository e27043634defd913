# PostgreSQL and Redis of docker/compose.yml, from the same base as everything else. Bring your own for production.
FROM debian:forky-slim
RUN mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql redis-server \
    && rm -rf /var/lib/apt/lists/*
COPY --chmod=0755 run-postgres run-redis /usr/local/bin/
